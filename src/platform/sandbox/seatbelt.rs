//! A profile for `sandbox-exec` of macOS. Written by its documentation; not run by the project's tests, which run on
//! Linux.

use std::path::{Path, PathBuf};

/// The program that applies a profile.
pub const PROGRAM: &str = "/usr/bin/sandbox-exec";

/// The last rule that matches decides.
pub fn profile(read_only: &[PathBuf], writable: &[PathBuf]) -> String {
    let mut profile = "(version 1)\n(allow default)\n".to_owned();
    let mut rule = |verb: &str, path: &Path| {
        profile += &format!("({verb} file-write* (subpath {}))\n", quoted(path));
    };
    read_only.iter().for_each(|path| rule("deny", path));
    writable.iter().for_each(|path| rule("allow", path));
    // A folder above can't be moved away.
    for folder in read_only.iter().flat_map(|path| path.ancestors().skip(1)) {
        profile += &format!("(deny file-write-unlink (literal {}))\n", quoted(folder));
    }
    profile
}

fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_denies_what_is_protected_and_allows_what_is_named_again() {
        let profile = profile(&["/r/a\"b".into()], &["/r/a\"b/own".into()]);
        assert_eq!(
            profile,
            "(version 1)\n(allow default)\n(deny file-write* (subpath \"/r/a\\\"b\"))\n(allow file-write* (subpath \"/r/a\\\"b/own\"))\n(deny file-write-unlink (literal \"/r\"))\n(deny file-write-unlink (literal \"/\"))\n"
        );
    }
}
