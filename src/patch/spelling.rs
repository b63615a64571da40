//! Compares names as any file system may do. Reserved paths are compared like this on every file system, because the
//! repository may be checked out on another one.
//!
//! Follows git's protection of `.git` (`verify_path`, with `core.protectHFS` and `core.protectNTFS`, and `is_ntfs_dot_generic`), and
//! goes further where file systems do: any case, as Unicode folds it; composed or decomposed; with code points that HFS+
//! ignores; and as on NTFS with trailing dots, blanks or a stream, with backslashes, or as a short name.

use unicode_normalization::UnicodeNormalization;

/// Whether `path` is `reserved` or below it, in any spelling. Both are relative to the root.
pub(super) fn lies_below(path: &str, reserved: &str) -> bool {
    let mut parts = parts(path).into_iter();
    let mut wanted = reserved
        .split('/')
        .filter(|name| !name.is_empty())
        .peekable();
    wanted.peek().is_some()
        && wanted.all(|name| parts.next().is_some_and(|part| is_taken_for(part, name)))
}

/// Whether a component of `path` is `.git`, in any spelling.
pub(super) fn is_in_git_folder(path: &str) -> bool {
    let mut parts = path.split(['/', '\\']);
    parts.any(|part| is_taken_for(part, ".git"))
}

/// Whether `path` is one of the plan files that begin with `.codex/st-plan`, in any spelling.
pub(super) fn is_codex_plan(path: &str) -> bool {
    let mut parts = parts(path).into_iter();
    let is_folder = parts
        .next()
        .is_some_and(|part| is_taken_for(part, ".codex"));
    let is_plan = |part: &str| {
        bare(&folded(part)).starts_with("st-plan") || is_taken_for(part, "st-plan.jsonl")
    };
    is_folder && parts.next().is_some_and(is_plan)
}

/// Folds case and composition, as some file systems do.
pub(super) fn folded(text: &str) -> String {
    let seen = text.chars().filter(|c| !is_ignored_by_hfs(*c));
    // Upper case first: `ſ` and `ß` have no lower case of their own.
    let upper = seen.nfd().flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase).nfd().collect()
}

/// The components of `path` as Windows resolves them: a backslash separates, `.` and what is empty stay in the folder, and
/// `..` leaves it.
fn parts(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for part in path.split(['/', '\\']) {
        match part.trim_end_matches(' ') {
            ".." => drop(parts.pop()),
            _ if bare(part).is_empty() => {}
            _ => parts.push(part),
        }
    }
    parts
}

fn is_taken_for(part: &str, name: &str) -> bool {
    let (part, name) = (folded(part), folded(name));
    bare(&part) == bare(&name) || is_short_name(bare(&part), &name)
}

/// Removes what NTFS ignores: a stream, and trailing dots and blanks.
fn bare(name: &str) -> &str {
    let name = name.split(':').next().unwrap_or_default();
    name.trim_end_matches([' ', '.'])
}

/// Whether `part` may be the short name of `name`, such as `GIT~1`, `LEARNI~1.JSO` or, after several collisions, `LE1A2B~1.JSO`.
fn is_short_name(part: &str, name: &str) -> bool {
    let name = name.trim_start_matches('.');
    let (base, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let base: Vec<char> = base.chars().filter(|c| !" .".contains(*c)).collect();
    let (short, short_extension) = part.rsplit_once('.').unwrap_or((part, ""));
    let Some((prefix, digits)) = short.split_once('~') else {
        return false;
    };
    let is_number = (1..=6).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
    if !is_number || !extension.chars().take(3).eq(short_extension.chars()) {
        return false;
    }
    let length = base.len().min(6).min(7_usize.saturating_sub(digits.len()));
    let is_hashed = |prefix: &[char]| {
        prefix.len() == 6
            && prefix[..2] == base[..base.len().min(2)]
            && prefix[2..].iter().all(char::is_ascii_hexdigit)
    };
    let prefix: Vec<char> = prefix.chars().collect();
    prefix == base[..length] || is_hashed(&prefix)
}

fn is_ignored_by_hfs(c: char) -> bool {
    matches!(
        c,
        '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_reserved_name() {
        let name = ".learnings.jsonl";
        for path in [
            ".learnings.jsonl",
            ".Learnings.JSONL",
            ".learning\u{17f}.jsonl",
            ".learnings\u{200c}.jsonl",
            ".learnings.jsonl.",
            ".learnings.jsonl . ",
            ".learnings.jsonl::$DATA",
            ".learnings.jsonl:stream",
            "LEARNI~1.JSO",
            "learni~4.jso",
            "LEARN~12.JSO",
            "LE1A2B~1.JSO",
            ".learnings.jsonl/below",
            ".learnings.jsonl\\below",
            ".\\.learnings.jsonl",
            "\\.learnings.jsonl",
            "src\\..\\.learnings.jsonl",
            "src/x\\..\\..\\.learnings.jsonl",
            "src\\.. \\. \\LEARNI~1.JSO",
            "..\\.learnings.jsonl",
        ] {
            assert!(lies_below(path, name), "{path}");
        }
        for path in [
            "learnings.jsonl",
            ".learnings.json",
            ".learnings.jsonl.bak",
            "docs/.learnings.jsonl",
            "docs\\.\\.learnings.jsonl",
            "a\\b\\..\\.learnings.jsonl",
            "LEARNI~1.TXT",
            "LEARN~1.JSO",
            "learni~.jso",
            "learni~x.jso",
            "a~1",
        ] {
            assert!(!lies_below(path, name), "{path}");
        }
    }

    #[test]
    fn composed_and_decomposed_names_are_one() {
        for path in [
            "größe/plan.jsonl",
            "gro\u{308}ße/plan.jsonl",
            "GRÖSSE/Plan.jsonl",
        ] {
            assert!(lies_below(path, "größe/plan.jsonl"), "{path}");
        }
        assert!(!lies_below("grosse/plan.jsonl", "größe/plan.jsonl"));
        assert!(!lies_below("größe", "größe/plan.jsonl"));
        assert!(!lies_below("x", ""));
    }

    #[test]
    fn the_plan_files_of_codex() {
        for path in [
            ".codex/st-plan.jsonl",
            ".CODEX/ST-plan",
            ".codex./st-plan.v3.jsonl",
            ".codex/ST-PLA~1.JSO",
            "CODEX~1/st-plan",
            ".\\.codex\\x\\..\\st-plan.jsonl",
        ] {
            assert!(is_codex_plan(path), "{path}");
        }
        assert!(!is_codex_plan(".codex/plan") && !is_codex_plan("st-plan"));
    }
}
