//! The mechanical checks of a patch: does it parse, stay in scope, and apply. Facts, gathered before the vote, shown
//! to the voters, and gathered again before the tree is touched.

use super::{IntegrateError, Terms};
use crate::git::{ApplyOptions, Repo};
use crate::patch::Patch;
use std::path::Path;

/// What the checks found.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// It can be applied to the tree as it is now.
    Applies {
        /// The parsed patch.
        patch: Patch,
        /// How git reads it.
        options: ApplyOptions,
        /// For the voters.
        text: String,
    },
    /// It can't.
    Refused {
        /// `patch_invalid`, `out_of_scope` or `does_not_apply`.
        code: &'static str,
        /// Why; for the synthesizer and the report.
        detail: String,
    },
}

/// Checks `text` against its terms and the user's tree, which is only read. `folder` takes the patch file for git.
pub fn examine(
    repo: &Repo,
    terms: &Terms<'_>,
    text: &str,
    folder: &Path,
) -> Result<Evidence, IntegrateError> {
    let checked = Patch::parse(text).and_then(|patch| {
        let plan_file = terms.plan_file;
        let plan_file = plan_file.strip_prefix(repo.root()).unwrap_or(plan_file);
        patch.check(
            &terms.metadata.scope,
            terms.scope,
            &plan_file.to_string_lossy(),
        )?;
        Ok(patch)
    });
    let patch = match checked {
        Ok(patch) => patch,
        Err(error) => return Ok(refused(error.code(), error.to_string())),
    };
    if let Some(path) = through_a_link(repo.root(), &patch) {
        let detail = format!("the patch touches `{path}`, which lies behind a symbolic link");
        return Ok(refused("patch_invalid", detail));
    }
    let file = folder.join("candidate.diff");
    crate::durable::write(&file, patch.text.as_bytes()).map_err(IntegrateError::io(&file))?;
    let options = match repo.check_patch(&file, patch.strip)? {
        Ok(options) => options,
        Err(message) => {
            let detail = format!("`git apply --check` refuses it: {message}");
            return Ok(refused("does_not_apply", detail));
        }
    };
    let by_git = repo.patch_paths(&file, options)?;
    if !by_git.is_subset(&patch.paths) || by_git.is_empty() {
        let listed = by_git.into_iter().collect::<Vec<_>>().join(", ");
        let detail = format!("git would touch other paths than the patch names: {listed}");
        return Ok(refused("patch_invalid", detail));
    }
    let text = found(&patch, options);
    Ok(Evidence::Applies {
        patch,
        options,
        text,
    })
}

fn refused(code: &'static str, detail: String) -> Evidence {
    Evidence::Refused { code, detail }
}

fn found(patch: &Patch, options: ApplyOptions) -> String {
    let paths: Vec<&str> = patch.paths.iter().map(String::as_str).collect();
    let recount = if options.recount {
        " (with --recount: the line counts of its hunk headers are wrong)"
    } else {
        ""
    };
    format!(
        "- parses; touches: {}\n- every path is within the scope\n- `git apply --check`: exit 0{recount}",
        paths.join(", ")
    )
}

/// A path of the patch with a symbolic link on the way to it, or at its end.
fn through_a_link(root: &Path, patch: &Patch) -> Option<String> {
    let is_link = |path: &Path| {
        std::fs::symlink_metadata(root.join(path)).is_ok_and(|meta| meta.is_symlink())
    };
    let behind = |path: &&String| {
        Path::new(path.as_str())
            .ancestors()
            .filter(|part| !part.as_os_str().is_empty())
            .any(is_link)
    };
    patch.paths.iter().find(behind).cloned()
}
