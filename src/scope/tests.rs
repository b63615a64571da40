use super::*;

fn texts(globs: &[&str]) -> Vec<String> {
    globs.iter().map(|glob| (*glob).to_owned()).collect()
}

fn scope(globs: &[&str]) -> Scope {
    Scope::new(&texts(globs)).expect("valid globs")
}

fn meet(a: &[&str], b: &[&str]) -> bool {
    let reach = |globs| Reach::new(&texts(globs)).expect("valid globs");
    let (a, b) = (reach(a), reach(b));
    assert_eq!(a.may_meet(&b), b.may_meet(&a), "one way as the other");
    a.may_meet(&b)
}

#[test]
fn covers_whole_paths_only() {
    let scope = scope(&["src/*.rs", "docs/", ".//README.md", "{a,b}/x"]);
    for path in ["src/a.rs", "docs/x/y.md", "README.md", "b/x"] {
        assert!(scope.covers(path), "{path}");
    }
    for path in [
        "src/deep/a.rs",
        "docs",
        "x/README.md",
        "readme.md",
        "c/x",
        "src/a.rs.bak",
    ] {
        assert!(!scope.covers(path), "{path}");
    }
}

#[test]
fn covered_paths_begin_with_the_prefix_of_a_glob() {
    let globs = [
        "src/*.rs",
        "./docs/",
        "{a,b}/x",
        "a\\*b",
        "README.md",
        "x[ab]",
        "y?",
    ];
    let prefixes = ["src/", "docs/", "", "a", "README.md", "x", "y"];
    assert_eq!(scope(&globs).prefixes(), prefixes);
}

#[test]
fn globs_that_share_a_path_meet() {
    for (a, b) in [
        ("src/**", "src/a.rs"),
        ("{a,b}/*.rs", "a/x.rs"),
        ("**/x.rs", "deep/er/x.rs"),
        ("**/x.rs", "x.rs"),
        ("src/a*.rs", "src/*b.rs"),
        ("SRC/a.rs", "src/A.rs"),
        ("[A-C].md", "b.md"),
        ("lib/", "lib/slug.sh"),
        ("./lib//", "lib/./slug.sh"),
        (".", "a/b"),
        ("a/**/b", "a/b"),
        ("a/**/b", "a/x/y/b"),
        ("[ab].rs", "a.rs"),
        ("[!b].rs", "a.rs"),
        ("[!b].rs", "b.rs"),
        ("a[!b]c", "a/c"),
        ("a\\*", "a\\*"),
        ("a\\*", "a*"),
        ("{a,{b,c}d}/x", "cd/x"),
        ("x{**/,}y", "xy"),
        ("größe.md", "GRÖSSE.md"),
        ("größe.md", "g*"),
    ] {
        assert!(meet(&[a], &[b]), "{a} meets {b}");
    }
}

#[test]
fn globs_that_share_none_do_not() {
    for (a, b) in [
        ("*.md", "src/*.md"),
        ("src/a.rs", "src/b.rs"),
        ("src/*.rs", "src/*.md"),
        ("src/*a.rs", "src/*b.rs"),
        ("src/a?.rs", "src/a.rs"),
        ("src/**", "tests/**"),
        ("src/a.rs", "**/*.md"),
        ("src/a.rs", "src/a.rsx"),
        ("{a,b}/*.rs", "c/x.rs"),
        ("{,a}b", "b"),
        ("[!bB].rs", "b.rs"),
        ("[a-c]x", "dx"),
        ("a\\*", "ab"),
        ("a*b*c", "ac*d"),
        ("*/x", "x"),
        ("a/*/b", "a/b"),
        ("*/a_1/**", "*/a_2/**"),
        ("größe.md", "größe.rs"),
    ] {
        assert!(!meet(&[a], &[b]), "{a} does not meet {b}");
    }
    assert!(!meet(&["a", "b/**"], &["c", "d/**"]));
    assert!(meet(&["a", "b/**"], &["c", "b/d"]));
    assert!(!meet(&[], &["**"]));
}

#[test]
fn a_path_meets_what_is_spelled_out_below_it() {
    assert!(meet(&["src"], &["src/a.rs"]));
    assert!(meet(&["src"], &["Src/**"]));
    assert!(meet(&["src"], &["src/deep/*.rs"]));
    assert!(meet(&["src"], &["src/"]));
    assert!(!meet(&["src"], &["srcs/a.rs"]));
    assert!(!meet(&["src/a.rs"], &["**/*.md"]));
}

#[test]
fn globs_that_take_too_long_to_compare_meet() {
    let (short, long) = ("?".repeat(100), "?".repeat(2000));
    assert!(!meet(
        &[&format!("{short}[ab]")],
        &[&format!("{short}[cd]")]
    ));
    assert!(meet(&[&format!("{long}[ab]")], &[&format!("{long}[cd]")]));
}

#[test]
fn globs_that_name_no_path_of_the_repository_are_refused_with_what_to_do() {
    let deep = "{".repeat(65);
    let long = "a".repeat(4097);
    for (glob, message) in [
        ("/etc/passwd", "relative to the repository's root"),
        ("../x", "without `..`"),
        ("a/../../x", "without `..`"),
        ("", "`**` is the whole repository"),
        ("!a", "list what is in scope"),
        (&deep, "list several"),
        (&long, "list several"),
        ("{a", "unclosed alternate group"),
        ("[a", "unclosed character class"),
    ] {
        let globs = [glob.to_owned()];
        let error = Scope::new(&globs).expect_err(glob);
        assert!(error.message.contains(message), "{error}");
        assert_eq!(Reach::new(&globs).expect_err(glob), error);
    }
}
