//! Shared paths: two tasks that may change any of them never run at the same time.

/// Manifests and lock files at the repository's root; `shared_paths` replaces the list.
///
/// They are one list, not one for every ecosystem: a manifest and its lock file are two paths, and change together.
/// Rejected: the same names in all folders (`**/Cargo.lock`). Every two broad scopes, as `crates/a/**` and `crates/b/**`,
/// may touch such a file, so no two tasks would run at the same time. A repository with several roots lists its files.
pub const SHARED_PATHS: [&str; 47] = [
    ".gitmodules",
    "Cargo.lock",
    "Cargo.toml",
    "Directory.Packages.props",
    "Gemfile",
    "Gemfile.lock",
    "MODULE.bazel",
    "MODULE.bazel.lock",
    "Package.resolved",
    "Package.swift",
    "Pipfile",
    "Pipfile.lock",
    "Podfile",
    "Podfile.lock",
    "build.gradle",
    "build.gradle.kts",
    "bun.lock",
    "bun.lockb",
    "composer.json",
    "composer.lock",
    "deno.json",
    "deno.jsonc",
    "deno.lock",
    "flake.lock",
    "flake.nix",
    "go.mod",
    "go.sum",
    "go.work",
    "go.work.sum",
    "gradle.lockfile",
    "mix.exs",
    "mix.lock",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "package.json",
    "packages.lock.json",
    "pdm.lock",
    "pnpm-lock.yaml",
    "pnpm-workspace.yaml",
    "poetry.lock",
    "pom.xml",
    "pubspec.lock",
    "pubspec.yaml",
    "pyproject.toml",
    "requirements*.txt",
    "uv.lock",
    "yarn.lock",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::Reach;
    use crate::scope::claims::Claims;

    fn conflict(a: &str, b: &str) -> bool {
        let shared = SHARED_PATHS.map(str::to_owned);
        let mut claims = Claims::new(Reach::new(&shared).expect("globs"));
        let reach = |glob: &str| Reach::new(&[glob.to_owned()]).expect("a glob");
        claims.add(reach(a));
        claims.conflicts_with(&reach(b))
    }

    #[test]
    fn a_manifest_and_a_lock_file_are_in_conflict_but_not_two_folders() {
        assert!(conflict("package.json", "package-lock.json"));
        assert!(conflict("Cargo.toml", "*.lock"));
        assert!(conflict("requirements-dev.txt", "go.mod"));
        assert!(!conflict("crates/a/**", "crates/b/**"));
        assert!(!conflict("Cargo.toml", "src/**"));
    }
}
