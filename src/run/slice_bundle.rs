//! What of a job goes into a bundle: its settings and rows, the tree that its rows work in, and a program.

use super::error::RunError;
use super::slice_export::StagedJob;
use crate::archive::{Draft, Kind, Limits};
use crate::executor::slices::{JobFolder, SlicedJob};
use crate::platform::{Repo, TemporaryFolder, look};
use crate::wave::Label;
use crate::workspace;
use std::fs;
use std::path::{Path, PathBuf};

/// The names in the bundle.
const INPUT: &str = "wave.csv";
const WORKSPACE: &str = "workspace";
const PROGRAM: &str = "mesh";

/// A request for a bundle.
pub struct BundleRequest<'b> {
    /// The program to pack.
    pub program: &'b Path,
    /// The program that runs now: a worker that is this one becomes the packed one.
    pub own_program: &'b Path,
    /// The bundle, which is never a part of itself.
    pub file: &'b Path,
    /// How much it may hold.
    pub limits: Limits,
}

/// A bundle that can be written for as long as this lives.
pub struct BundleDraft {
    /// Its members.
    pub draft: Draft,
    _scratch: TemporaryFolder,
}

/// The tree that rows work in.
struct Tree {
    /// The files that are packed.
    root: PathBuf,
    /// The folder that they are from, where arguments may point to.
    source: PathBuf,
    /// Where workers start, below either.
    start: PathBuf,
    /// The git folder that takes the place of the one in `root`.
    git: Option<PathBuf>,
}

impl StagedJob {
    /// Collects the members of a bundle, and checks their sizes. Nothing is written but copies in the temporary folder.
    ///
    /// # Errors
    /// The tree can't be copied, or the bundle would be too large.
    pub fn bundle(&self, request: &BundleRequest<'_>) -> Result<BundleDraft, RunError> {
        let scratch = TemporaryFolder::new("mesh-bundle-");
        let scratch = scratch.map_err(RunError::io(&std::env::temp_dir()))?;
        let tree = self.tree(scratch.path())?;
        let sliced = moved(&self.sliced, &tree, request)?;
        let mut draft = Draft::default();
        draft.add_bytes("job.json", JobFolder::at(self.path()).text(&sliced)?);
        draft.add_file(INPUT, Kind::File, &self.path().join(INPUT))?;
        if sliced.job.row_index.is_some() {
            let index = self.path().join(JobFolder::ROW_INDEX);
            draft.add_file(JobFolder::ROW_INDEX, Kind::File, &index)?;
        }
        if let Some(label) = &self.label {
            let path = format!("slices/{}", Label::FILE_NAME);
            draft.add_bytes(&path, label.text().into_bytes());
        }
        draft.add_file(PROGRAM, Kind::Program, request.program)?;
        let git = tree.root.join(".git");
        let skips = |path: &Path| {
            path == request.file || path == self.path() || (tree.git.is_some() && path == git)
        };
        draft.add_tree(WORKSPACE, &tree.root, &skips)?;
        if let Some(git) = &tree.git {
            draft.add_tree(&format!("{WORKSPACE}/.git"), git, &|_| false)?;
        }
        draft.check(request.limits)?;
        Ok(BundleDraft {
            draft,
            _scratch: scratch,
        })
    }

    fn tree(&self, scratch: &Path) -> Result<Tree, RunError> {
        let folder = &self.sliced.job.worker.folder;
        let with_git = |root: PathBuf, source: &Path, start: PathBuf| {
            let git = scratch.join("git-folder");
            workspace::own_git(&root, &git)?;
            Ok(Tree {
                root,
                source: source.to_owned(),
                start,
                git: Some(git),
            })
        };
        if folder.is_relative() {
            return with_git(self.path().join(folder), &self.tree, PathBuf::new());
        }
        let folder = fs::canonicalize(folder).map_err(RunError::io(folder))?;
        let repo = look::reachable(Repo::find(&folder))?;
        let source = repo.as_ref().map_or(folder.as_path(), Repo::root);
        check_is_not_home(source)?;
        if let Some(repo) = &repo {
            let copy = scratch.join(WORKSPACE);
            workspace::create_copy(repo, &copy)?;
            let start = folder.strip_prefix(repo.root()).unwrap_or(Path::new(""));
            // A folder that git ignores is not in the copy.
            let place = copy.join(start);
            if look::is_folder(&place).map_err(RunError::io(&place))? {
                return with_git(copy, repo.root(), start.to_owned());
            }
        }
        Ok(Tree {
            root: folder.clone(),
            source: folder,
            start: PathBuf::new(),
            git: None,
        })
    }
}

/// Refuses a tree with the user's home folder in it, which nobody means to send to other hosts.
fn check_is_not_home(tree: &Path) -> Result<(), RunError> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    match home.is_some_and(|home| Path::new(&home).starts_with(tree)) {
        true => Err(RunError::BundleOfHome(tree.to_owned())),
        false => Ok(()),
    }
}

/// The job with the paths that it has in the bundle.
fn moved(
    sliced: &SlicedJob,
    tree: &Tree,
    request: &BundleRequest<'_>,
) -> Result<SlicedJob, RunError> {
    let mut sliced = sliced.clone();
    let worker = &mut sliced.job.worker;
    worker.folder = Path::new(WORKSPACE).join(&tree.start);
    let below = worker.program.strip_prefix(&tree.source).ok();
    if worker.program == request.own_program {
        worker.program = PathBuf::from(PROGRAM);
    } else if let Some(below) = below {
        let packed = tree.root.join(below);
        let there = look::reach(&packed).map_err(RunError::io(&packed))?;
        if there.is_some() {
            worker.program = Path::new(WORKSPACE).join(below);
        }
    }
    Ok(sliced)
}
