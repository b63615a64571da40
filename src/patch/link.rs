//! Follows a symbolic link that a patch creates, component by component, as the kernel does.

use super::forbidden::Forbidden;
use super::spelling::is_in_git_folder;
use super::tree::{Tree, TreeEntry};
use crate::model::one_line;
use std::collections::{BTreeMap, VecDeque};

/// Limit of links to follow, as in Linux.
const LINKS_MAX: usize = 40;
/// Limit of the length of a target, as in Linux.
const TARGET_BYTES_MAX: usize = 4095;

/// Checks that the link at `path` stays within the repository. `made` are the links of the patch, by path.
pub(super) fn check(
    path: &str,
    target: &str,
    made: &BTreeMap<String, String>,
    tree: &dyn Tree,
) -> Result<(), Forbidden> {
    follow(path, target, made, tree).map_err(|why| Forbidden::LinkTarget {
        target: one_line(target),
        why,
    })
}

fn follow(
    path: &str,
    target: &str,
    made: &BTreeMap<String, String>,
    tree: &dyn Tree,
) -> Result<(), &'static str> {
    let parts = |text: &str| text.split('/').map(str::to_owned).collect::<Vec<_>>();
    let mut place = path.to_owned();
    leave(&mut place);
    let mut ahead: VecDeque<String> = parts(relative(target)?).into();
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        match part.as_str() {
            "" | "." => continue,
            ".." if place.is_empty() => return Err("is outside of the repository"),
            ".." => {
                leave(&mut place);
                continue;
            }
            name => enter(&mut place, name),
        }
        let there = match (made.get(&place), tree.at(&place)) {
            (Some(target), _) => target.clone(),
            (None, TreeEntry::Link(target)) => target,
            (None, TreeEntry::Submodule) => return Err("is in a submodule"),
            (None, TreeEntry::Nothing | TreeEntry::File | TreeEntry::Other) => continue,
        };
        links += 1;
        if links > LINKS_MAX {
            return Err("leads through too many links");
        }
        leave(&mut place);
        for part in parts(relative(&there)?).into_iter().rev() {
            ahead.push_front(part);
        }
    }
    match is_in_git_folder(&place) {
        true => Err("belongs to git"),
        false => Ok(()),
    }
}

fn enter(place: &mut String, name: &str) {
    if !place.is_empty() {
        place.push('/');
    }
    place.push_str(name);
}

fn leave(place: &mut String) {
    place.truncate(place.rfind('/').unwrap_or(0));
}

fn relative(target: &str) -> Result<&str, &'static str> {
    let is_path = !target.is_empty() && target.len() <= TARGET_BYTES_MAX;
    if !is_path || target.contains(['\0', '\n', '\r']) {
        Err("is not a path")
    } else if target.starts_with('/') {
        Err("is absolute, and so outside of the repository")
    } else {
        Ok(target)
    }
}
