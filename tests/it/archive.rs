//! `mesh runs export`, and archives in place of runs: what is in them, what they leave out, and what of a stranger's is refused.

use crate::fixture::*;
use std::io::Write;
use std::path::Path;
use tar::{Builder, EntryType, Header};

type Members = Vec<(String, Vec<u8>)>;

fn exported(bench: &Bench) -> Vec<u8> {
    bench.mesh("runs export R out.tar.zst").exits(0);
    std::fs::read(bench.path("out.tar.zst")).expect("an archive")
}

/// Names and contents.
fn members(archive: &[u8]) -> Members {
    let tar = zstd::decode_all(archive).expect("zstd");
    let mut tar = tar::Archive::new(tar.as_slice());
    let mut found = Vec::new();
    for entry in tar.entries().expect("members") {
        let mut entry = entry.expect("a member");
        let name = entry.path().expect("a name").display().to_string();
        let header = entry.header();
        assert_eq!(
            (header.mtime().ok(), header.uid().ok(), header.mode().ok()),
            (Some(0), Some(0), Some(0o600)),
            "{name}"
        );
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).expect("content");
        found.push((name, content));
    }
    found
}

fn packed(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, content) in members {
        add(&mut tar, EntryType::Regular, name, content);
    }
    zstd::encode_all(tar.into_inner().expect("a tar").as_slice(), 1).expect("zstd")
}

/// A member with any name: the library refuses some of them.
fn add(tar: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o600);
    header.set_size(content.len() as u64);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    tar.append(&header, content).expect("added");
}

#[test]
fn an_archive_is_inspected_and_audited_like_its_run() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("").exits(0);
    let archive = exported(&bench);
    assert_eq!(
        std::fs::metadata(bench.path("out.tar.zst"))
            .map(|it| mode(&it))
            .ok(),
        Some(0o600)
    );
    // The same bytes again, and never over an existing file.
    bench
        .mesh("runs export R out.tar.zst")
        .exits(2)
        .err_has("--force");
    bench.mesh("runs export R again.tar.zst").exits(0);
    assert_eq!(
        std::fs::read(bench.path("again.tar.zst")).ok(),
        Some(archive)
    );

    let shown = bench.mesh("inspect R --json").exits(0).out;
    let audited = bench.mesh("audit R").exits(0).out;
    std::fs::remove_dir_all(bench.run_folder()).expect("removed");
    let said = bench.mesh("inspect out.tar.zst --json").exits(0);
    assert_eq!(said.out, shown);
    assert_eq!(bench.mesh("audit out.tar.zst").exits(0).out, audited);
    bench.mesh("inspect out.tar.zst --html run.html").exits(0);
    let said = bench.mesh("inspect --diff out.tar.zst again.tar.zst --json");
    assert_eq!(said.exits(0).out, "");
}

fn mode(metadata: &std::fs::Metadata) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777
}

#[test]
fn what_an_audit_of_an_archive_can_not_see_is_said() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.git("config user.name Ada");
    bench.git("config user.email ada@example.org");
    bench.run("delivery=branch").exits(0);
    exported(&bench);
    let said = bench.mesh("audit out.tar.zst").exits(0);
    said.out_has("but 1 thing could not be checked");
    said.out_has("whether the commits of the run exist (1)");
}

#[test]
fn secrets_are_removed_and_the_audit_knows() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("").exits(0);
    // The validation of a task is in its prompts, which are kept as they were given.
    let mut command = bench.command("runs export R out.tar.zst");
    command.env("MY_API_KEY", "grep -q new a.txt");
    said(command.output().expect("started")).exits(0);
    let archive = std::fs::read(bench.path("out.tar.zst")).expect("an archive");
    let members = members(&archive);
    let (_, manifest) = members.last().expect("a manifest");
    let manifest = String::from_utf8_lossy(manifest);
    assert_contains(&manifest, "\"redacted\":true");
    let said = bench.mesh("audit out.tar.zst");
    said.out_has("secrets were removed from it");
}

#[test]
fn an_archive_that_the_machine_can_not_read_is_not_a_run_that_is_missing() {
    let bench = Bench::new(&[Task::new("a")]);
    std::os::unix::fs::symlink("/proc/self/mem", bench.path("out.tar.zst")).expect("a link");
    for command in ["audit out.tar.zst", "inspect out.tar.zst"] {
        let said = bench.mesh(command).exits(3);
        said.err_has("out.tar.zst");
        said.err_has("Input/output error");
    }
}

#[test]
fn an_archive_with_a_wrong_member_is_not_used() {
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("").exits(0);
    let good = members(&exported(&bench));
    let refused = |archive: &[u8], why: &str| {
        std::fs::write(bench.path("bad.tar.zst"), archive).expect("written");
        let said = bench.mesh("inspect bad.tar.zst").exits(2);
        said.err_has(why);
        assert_eq!(said.out, "");
    };
    let with = |change: &dyn Fn(&mut Members)| {
        let mut members = good.clone();
        change(&mut members);
        packed(&members)
    };
    refused(
        &with(&|all| all[0].1[0] ^= 1),
        "SHA-256 is not that of the manifest",
    );
    refused(&with(&|all| all[0].1.push(b' ')), "its size is not");
    refused(&with(&|all| drop(all.remove(0))), "it is missing");
    refused(
        &with(&|all| drop(all.pop())),
        "`manifest.json`: it is missing",
    );
    refused(
        &with(&|all| all.insert(0, ("R/more".to_owned(), Vec::new()))),
        "the manifest does not list it",
    );
    refused(&with(&|all| all.insert(1, all[0].clone())), "twice");
    for name in ["/etc/x", "../x", "R/../../x", "x", "R/./x", "S/x"] {
        refused(
            &with(&|all| all.insert(1, (name.to_owned(), Vec::new()))),
            &format!("member `{name}`"),
        );
    }
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Directory,
        EntryType::Fifo,
    ] {
        let mut tar = Builder::new(Vec::new());
        add(&mut tar, kind, "R/units", b"");
        let tar = tar.into_inner().expect("a tar");
        let archive = zstd::encode_all(tar.as_slice(), 1).expect("zstd");
        refused(&archive, "it is not a regular file");
    }
    // The library would read a name of any length into memory.
    let mut tar = Builder::new(Vec::new());
    let name = vec![b'a'; 5000];
    add(&mut tar, EntryType::GNULongName, "././@LongLink", &name);
    let tar = tar.into_inner().expect("a tar");
    let archive = zstd::encode_all(tar.as_slice(), 1).expect("zstd");
    refused(&archive, "it is not a regular file");
    let whole = packed(&good);
    let cut = &whole[..whole.len() - 1];
    refused(cut, "damaged or cut off");
    refused(&whole[..whole.len() / 2], "damaged or cut off");
    assert!(!Path::new("/etc/x").exists() && !bench.path("x").exists());
}

#[test]
fn an_archive_that_is_too_large_is_refused_before_it_fills_the_disk() {
    use mesh::archive::{Limits, unpack};
    let bench = Bench::new(&[Task::new("a")]);
    bench.run("").exits(0);
    exported(&bench);
    let refused = |bytes, members| {
        let limits = Limits { bytes, members };
        let error = unpack(&bench.path("out.tar.zst"), limits).expect_err("too large");
        error.to_string()
    };
    assert_contains(&refused(1000, 100), "more than 1000 bytes");
    assert_contains(&refused(1 << 30, 3), "more than 3 members");
    // A member that claims more than it has.
    let mut bomb = Vec::new();
    let mut encoder = zstd::Encoder::new(&mut bomb, 1).expect("zstd");
    let mut header = Header::new_gnu();
    header.set_path("R/ledger.jsonl").expect("a name");
    header.set_size(1 << 50);
    header.set_cksum();
    encoder.write_all(header.as_bytes()).expect("written");
    encoder.finish().expect("written");
    std::fs::write(bench.path("bomb.tar.zst"), &bomb).expect("written");
    bench
        .mesh("inspect bomb.tar.zst")
        .exits(2)
        .err_has("more than");
}
