//! `docs/SECURITY.md` names a test for each of its claims.

use std::path::{Path, PathBuf};

/// The source files below `folder`.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|end| end == "rs") => found.push(path),
            false => {}
        }
    }
}

#[test]
fn every_test_that_the_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/SECURITY.md")).expect("the page");
    let mut files = Vec::new();
    sources(&root.join("tests/it"), &mut files);
    sources(&root.join("src"), &mut files);
    let texts: Vec<(String, String)> = files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(root).expect("below").with_extension("");
            let text = std::fs::read_to_string(file).expect("text");
            (name.to_string_lossy().replace('/', "::"), text)
        })
        .collect();
    let named: Vec<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.contains("::"))
        .collect();
    assert!(named.len() > 25, "{}", named.len());
    for test in named {
        let (module, function) = test.rsplit_once("::").expect("a path");
        let module = module.trim_end_matches("::tests");
        let is_it = |(name, text): &(String, String)| {
            let name = name.trim_end_matches("::mod").trim_end_matches("::tests");
            name.ends_with(module) && text.contains(&format!("fn {function}()"))
        };
        assert!(texts.iter().any(is_it), "no test `{test}`");
    }
}

#[test]
fn each_party_has_a_section_with_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/SECURITY.md")).expect("the page");
    for party in [
        "A cell or a header of a CSV",
        "A plan",
        "A worker, and its answer",
        "A repository",
        "A caller of the MCP server",
        "A web page in the user's browser",
        "Other users of the machine",
        "An archive or a bundle from elsewhere",
    ] {
        let (_, section) = page
            .split_once(&format!("\n## {party}\n"))
            .unwrap_or_else(|| panic!("no section `{party}`"));
        let section = section.split("\n## ").next().unwrap_or_default();
        let quoted = section.split('`').skip(1).step_by(2);
        assert!(
            quoted.filter(|word| word.contains("::")).count() > 0,
            "{party}"
        );
    }
}
