//! No cycle between the files of `src/`: to understand one, a reader needs those below it and no other.
//!
//! An edge leads from a file to the file that *defines* what it names, through any re-export: `crate::job::Budget` is an
//! edge to `job/policy/budget.rs`. `mod` and `pub use` are none: a folder's `mod.rs` lists what is inside without needing it.
//! One exception: the `error.rs` of a folder names the things that can be wrong there, and they return it.

use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Module = Vec<String>;

/// The modules of the crate, each with its code and what it re-exports.
struct Crate {
    modules: BTreeMap<Module, Source>,
}

#[derive(Default)]
struct Source {
    code: String,
    /// `use` statements: the path, the name it has here, and whether it is re-exported.
    uses: Vec<Use>,
}

struct Use {
    path: Vec<String>,
    name: String,
    is_public: bool,
}

impl Crate {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        list(&root, &mut files);
        let mut modules = BTreeMap::new();
        for file in files {
            let path = file.strip_prefix(&root).expect("below").with_extension("");
            let mut module: Module = path
                .iter()
                .map(|it| it.to_string_lossy().into_owned())
                .collect();
            if ["mod", "lib"].contains(&module.last().expect("a name").as_str()) {
                module.pop();
            }
            let text = std::fs::read_to_string(&file).expect("text");
            modules.insert(module, Source::parse(&text));
        }
        Self { modules }
    }

    /// A path as `module` writes it, from the root; none for other crates.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let supers = path.iter().take_while(|it| *it == "super").count();
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([module, &path[1..]].concat()),
            "super" => {
                let above = &module[..module.len().checked_sub(supers)?];
                Some([above, &path[supers..]].concat())
            }
            child => {
                let below = [module, &[child.to_owned()]].concat();
                self.modules
                    .contains_key(&below)
                    .then(|| [module, path].concat())
            }
        }
    }

    /// The module that defines what `path` names.
    fn definer(&self, path: &[String]) -> Module {
        let mut module = Module::new();
        for (at, name) in path.iter().enumerate() {
            let child = [module.as_slice(), std::slice::from_ref(name)].concat();
            let is_last = at + 1 == path.len();
            let exported = self.modules[&module]
                .uses
                .iter()
                .find(|it| it.is_public && it.name == *name);
            match exported.and_then(|it| self.absolute(&module, &it.path)) {
                Some(target) if is_last || !self.modules.contains_key(&child) => {
                    return self.definer(&[&target, &path[at + 1..]].concat());
                }
                _ if self.modules.contains_key(&child) => module = child,
                _ => break,
            }
        }
        module
    }

    /// The files that `module` needs.
    fn needs(&self, module: &[String]) -> BTreeSet<Module> {
        let source = &self.modules[module];
        let mut paths = Vec::new();
        let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for it in source.uses.iter().filter(|it| !it.is_public) {
            let Some(path) = self.absolute(module, &it.path) else {
                continue;
            };
            match self.modules.contains_key(&path) {
                true => {
                    names.insert(&it.name, path.clone());
                    paths.push(path);
                }
                false => paths.push(path),
            }
        }
        let path = Regex::new(r"(?:^|[^\w:.])(\w+(?:::\w+)+)").expect("a regex");
        for found in path.captures_iter(&source.code) {
            let parts: Vec<String> = found[1].split("::").map(str::to_owned).collect();
            match names.get(parts[0].as_str()) {
                Some(start) => paths.push([start, &parts[1..]].concat()),
                None => paths.extend(self.absolute(module, &parts)),
            }
        }
        let mut needed: BTreeSet<Module> = paths.iter().map(|path| self.definer(path)).collect();
        needed.remove(module);
        needed.remove(&Module::new());
        // A module that is named only as the beginning of a path is not needed itself.
        needed.retain(|it| !names.values().any(|start| start == it) || self.defines(it));
        if module.last().is_some_and(|name| name == "error") {
            let folder = &module[..module.len() - 1];
            needed.retain(|it| !it.starts_with(folder));
        }
        needed
    }

    /// Whether a file holds more than declarations and re-exports.
    fn defines(&self, module: &[String]) -> bool {
        let item = Regex::new(
            r"(?m)^(?:pub(?:\([^)]*\))? )?(?:fn|struct|enum|trait|const|static|type|impl)\b",
        )
        .expect("a regex");
        item.is_match(&self.modules[module].code)
    }

    /// A path that comes back to where it began.
    fn cycle(&self) -> Option<Vec<Module>> {
        let graph: BTreeMap<&Module, BTreeSet<Module>> = self
            .modules
            .keys()
            .map(|module| (module, self.needs(module)))
            .collect();
        let mut done = BTreeSet::new();
        graph
            .keys()
            .find_map(|module| visit(module, &graph, &mut Vec::new(), &mut done))
    }
}

impl Source {
    fn parse(text: &str) -> Self {
        let text = text
            .split("\n#[cfg(test)]\nmod ")
            .next()
            .unwrap_or_default();
        let comment = Regex::new(r"(?m)^\s*//.*$").expect("a regex");
        let text = comment.replace_all(text, "");
        let statement =
            Regex::new(r"(?m)^[ \t]*(pub(?:\([^)]*\))? )?use ([^;]+);").expect("a regex");
        let mut uses = Vec::new();
        for found in statement.captures_iter(&text) {
            let mut leaves = Vec::new();
            expand(&found[2], &[], &mut leaves);
            let is_public = found.get(1).is_some();
            uses.extend(leaves.into_iter().map(|(path, name)| Use {
                path,
                name,
                is_public,
            }));
        }
        Self {
            code: statement.replace_all(&text, "").into_owned(),
            uses,
        }
    }
}

fn list(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_test = ["main.rs", "tests.rs", "tests"].contains(&name.as_str());
        if path.is_dir() && !is_test {
            list(&path, files);
        } else if name.ends_with(".rs") && !is_test && !name.ends_with("properties.rs") {
            files.push(path);
        }
    }
}

/// The leaves of a `use` tree: `a::{b, c as d}` is `a::b` and `a::c`, named `b` and `d`.
fn expand(tree: &str, before: &[String], leaves: &mut Vec<(Vec<String>, String)>) {
    let tree = tree.trim();
    if let Some((path, group)) = tree.split_once('{') {
        let parts = path.split("::").map(str::trim).filter(|it| !it.is_empty());
        let before: Vec<String> = before
            .iter()
            .cloned()
            .chain(parts.map(str::to_owned))
            .collect();
        let group = group.trim_end().strip_suffix('}').expect("a closing brace");
        let mut depth = 0;
        let branches = group.split(|c: char| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        });
        for branch in branches.filter(|it| !it.trim().is_empty()) {
            expand(branch, &before, leaves);
        }
        return;
    }
    let (path, alias) = tree
        .split_once(" as ")
        .map_or((tree, None), |(path, alias)| (path, Some(alias.trim())));
    let mut path: Vec<String> = before
        .iter()
        .cloned()
        .chain(path.split("::").map(|it| it.trim().to_owned()))
        .collect();
    if path.last().is_some_and(|it| it == "self" || it == "*") {
        path.pop();
    }
    let name = alias
        .or(path.last().map(String::as_str))
        .unwrap_or_default()
        .to_owned();
    leaves.push((path, name));
}

fn visit(
    module: &Module,
    graph: &BTreeMap<&Module, BTreeSet<Module>>,
    way: &mut Vec<Module>,
    done: &mut BTreeSet<Module>,
) -> Option<Vec<Module>> {
    if let Some(at) = way.iter().position(|it| it == module) {
        return Some(way[at..].to_vec());
    }
    if done.contains(module) {
        return None;
    }
    way.push(module.clone());
    let found = graph
        .get(module)
        .into_iter()
        .flatten()
        .find_map(|next| visit(next, graph, way, done));
    way.pop();
    done.insert(module.clone());
    found
}

#[test]
fn no_file_needs_a_file_that_needs_it() {
    let cycle = Crate::read().cycle();
    let shown = cycle.map(|way| {
        way.iter()
            .map(|module| module.join("::"))
            .collect::<Vec<_>>()
            .join("\n  -> ")
    });
    assert_eq!(shown, None, "a cycle between files");
}

#[test]
fn a_cycle_is_seen_through_a_re_export() {
    let source = |text: &str| Source::parse(text);
    let module = |path: &str| {
        path.split("::")
            .filter(|it| !it.is_empty())
            .map(str::to_owned)
            .collect::<Module>()
    };
    let mut it = Crate {
        modules: BTreeMap::new(),
    };
    it.modules.insert(module(""), source("mod a;\nmod b;\n"));
    it.modules.insert(
        module("a"),
        source("mod low;\npub use low::{Low, deep::Deep as Deeper};\n"),
    );
    it.modules.insert(
        module("a::low"),
        source("use crate::b;\nstruct Low;\nfn f() { b::g() }\n"),
    );
    it.modules.insert(
        module("b"),
        source("use std::{fs, io::{self, Read}};\nuse crate::a::Low;\npub fn g() {}\n"),
    );
    let way = it.cycle().expect("a cycle");
    assert_eq!(way, [module("a::low"), module("b")]);
    it.modules.insert(
        module("b"),
        source("// crate::a::Low\npub use crate::a::Low;\npub fn g() {}\n"),
    );
    assert_eq!(it.cycle(), None);
}
