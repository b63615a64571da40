//! `mesh skill`: what is written, what is kept, and what an agent that follows it gets to.

use crate::fixture::*;

const SKILL: &str = ".agents/skills/mesh/SKILL.md";

#[test]
fn a_skill_is_installed_compared_and_never_overwritten_unasked() {
    let sandbox = Sandbox::with_repo(&[]);
    let install = "skill install --for codex --project";
    sandbox
        .mesh("skill check")
        .exits(0)
        .err_has("not installed");
    sandbox.mesh(install).exits(0).out_has("SKILL.md: written");
    sandbox
        .mesh("skill check")
        .exits(0)
        .out_has("policy.md: current");
    let written = sandbox.read(SKILL);

    sandbox.write(SKILL, &written.replace("# mesh\n", "# mesh\n\nmine\n"));
    let said = sandbox.mesh("skill check").exits(1);
    said.out_has("SKILL.md: edited");
    said.out_has("\n-mine\n");
    let said = sandbox.mesh(install).exits(2);
    said.err_has("--force");
    assert_contains(&sandbox.read(SKILL), "mine");
    sandbox.mesh(&*format!("{install} --force")).exits(0);
    assert_eq!(sandbox.read(SKILL), written);

    // As an older version would have written it.
    let (body, _) = written.rsplit_once("<!-- ").expect("a last line");
    let older = body.replace("# mesh\n", "# Mesh of old\n");
    let hash = mesh::platform::sha256_of_bytes(older.as_bytes());
    let last =
        format!("<!-- written by mesh skill install; sha256 of the text above: {hash} -->\n");
    sandbox.write(SKILL, &format!("{older}{last}"));
    sandbox
        .mesh("skill check")
        .exits(1)
        .out_has("SKILL.md: outdated");
    let said = sandbox.mesh("doctor -- true");
    said.out_has("mesh skill install --for codex --project");
    sandbox.mesh(install).exits(0).out_has("-# Mesh of old");
    assert_eq!(sandbox.read(SKILL), written);
}

#[test]
fn every_agent_has_a_folder_for_the_project_and_for_the_user() {
    let sandbox = Sandbox::with_repo(&[]);
    sandbox.mesh("skill install --for all --project").exits(0);
    sandbox.mesh("skill install --for all --user").exits(0);
    for folder in [".agents", ".claude", ".gemini", ".opencode"] {
        assert!(
            sandbox.path(folder).join("skills/mesh/SKILL.md").is_file(),
            "{folder}"
        );
    }
    let home = sandbox.beside("home");
    for folder in [".agents", ".claude", ".gemini", ".config/opencode"] {
        assert!(
            home.join(folder).join("skills/mesh/policy.md").is_file(),
            "{folder}"
        );
    }
    let said = sandbox.mesh("skill check --json").exits(0);
    assert_eq!(said.out.lines().count(), 16, "{}", said.out);
}

/// The block of metadata and the commands of the text are taken as they stand there.
#[test]
fn what_the_skill_says_works() {
    let sandbox = Sandbox::with_repo(&[]);
    sandbox.mesh("skill install --for codex --project").exits(0);
    let skill = sandbox.read(SKILL);
    let block = skill.split("```mesh\n").nth(1).expect("a block");
    let block = block
        .split("```")
        .next()
        .expect("its end")
        .replace("\n   ", "\n");
    let notes = format!("```mesh\n{}```\n", block.trim_start_matches("   "));
    sandbox.mesh("st init").exits(0);
    sandbox.mesh("st add --id st-001 --step x").exits(0);
    let args = ["st", "set-notes", "--id", "st-001", "--notes", &notes];
    sandbox.mesh(&args[..]).exits(0);
    sandbox.mesh("st ready").exits(0).out_has("st-001");
    let said = sandbox.mesh("run --dry-run -- true").exits(0);
    said.out_has("parse() refuses an empty name");
    sandbox
        .mesh(&["invoke", "--dry-run", "review $mesh"][..])
        .out_has("meta_request");
}
