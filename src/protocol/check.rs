//! Refuses a protocol that can't work: unknown names, a patch without one author, a vote that decides nothing.

use super::definition::{HYDRATION, Select};
use super::file::{ProtocolFile, RoundFile};
use crate::model::{Lane, Role, RoundName};
use std::collections::HashSet;
use std::fmt;

/// What is wrong with a protocol.
pub(super) struct Unusable {
    /// The word to look for in the file.
    pub word: String,
    pub message: String,
}

fn refuse(word: impl fmt::Display, message: String) -> Result<(), Unusable> {
    let word = word.to_string();
    Err(Unusable { word, message })
}

/// Checks a file that parses as a protocol with rounds.
pub(super) fn check(file: &ProtocolFile) -> Result<(), Unusable> {
    if file.rounds.is_empty() {
        return refuse("rounds", "there are no rounds".to_owned());
    }
    if let Some(hydration) = &file.hydration
        && !file.roles.names.contains(&hydration.role)
    {
        let (role, known) = (&hydration.role, list_roles(file));
        let message = format!("`hydration` has the unknown role `{role}`; roles: {known}");
        return refuse(role, message);
    }
    let mut earlier = HashSet::new();
    for round in &file.rounds {
        check_round(file, round, &earlier)?;
        earlier.insert(&round.name);
    }
    check_patch_lanes(file)?;
    check_candidates(file)?;
    check_bindings(file)?;
    check_test(file)?;
    check_consensus(file)
}

fn check_round(
    file: &ProtocolFile,
    round: &RoundFile,
    earlier: &HashSet<&RoundName>,
) -> Result<(), Unusable> {
    let name = &round.name;
    if name.as_str() == HYDRATION {
        let message =
            format!("round `{HYDRATION}` is the one that `hydration` defines; choose another name");
        return refuse(name, message);
    }
    if !is_word(name.as_str()) {
        let message = format!("round name `{name}` may hold only a-z, 0-9 and _");
        return refuse(name, message);
    }
    if round.roles.is_empty() {
        return refuse(name, format!("round `{name}` has no roles"));
    }
    if let Some(role) = round
        .roles
        .iter()
        .find(|role| !file.roles.names.contains(role))
    {
        let known = list_roles(file);
        let message = format!("round `{name}` has the unknown role `{role}`; roles: {known}");
        return refuse(role, message);
    }
    if let Some(role) = round.roles.iter().find(|role| !is_word(role.as_str())) {
        let message = format!("role name `{role}` may hold only a-z, 0-9 and _");
        return refuse(role, message);
    }
    if let Some(input) = round.inputs.iter().find(|input| !earlier.contains(input)) {
        let message = format!("round `{name}` has the input `{input}`, which is no earlier round");
        return refuse(input, message);
    }
    if earlier.contains(name) {
        return refuse(name, format!("round `{name}` appears twice"));
    }
    Ok(())
}

fn list_roles(file: &ProtocolFile) -> String {
    let roles: Vec<&str> = file.roles.names.iter().map(Role::as_str).collect();
    roles.join(", ")
}

fn check_patch_lanes(file: &ProtocolFile) -> Result<(), Unusable> {
    let is_patch = |round: &&RoundFile| round.lane == Lane::Patch && !round.test;
    let patching: Vec<&RoundFile> = file.rounds.iter().filter(is_patch).collect();
    match patching.as_slice() {
        [round] if round.roles.len() == 1 => Ok(()),
        [round, ..] => refuse(
            &round.name,
            "exactly one role of one round may have the lane `patch`: a patch has one author"
                .to_owned(),
        ),
        [] => refuse(
            "rounds",
            "no round has the lane `patch`, so there would be nothing to integrate".to_owned(),
        ),
    }
}

/// A role that is bound must have rows.
fn check_bindings(file: &ProtocolFile) -> Result<(), Unusable> {
    let of_rounds = file.rounds.iter().flat_map(|round| {
        let mut roles = round.row_roles();
        roles.extend_from_slice(&round.roles);
        roles
    });
    let hydration = file.hydration.iter().map(|round| round.role.clone());
    let known: HashSet<Role> = of_rounds.chain(hydration).collect();
    match file
        .roles
        .bindings
        .keys()
        .find(|role| !known.contains(*role))
    {
        None => Ok(()),
        Some(role) => {
            let message = format!("`roles` binds `{role}`, which no round has");
            refuse(role, message)
        }
    }
}

fn check_test(file: &ProtocolFile) -> Result<(), Unusable> {
    let mut tests = file
        .rounds
        .iter()
        .enumerate()
        .filter(|(_, round)| round.test);
    let Some((at, round)) = tests.next() else {
        return Ok(());
    };
    let name = &round.name;
    let patch = file
        .rounds
        .iter()
        .position(|round| round.lane == Lane::Patch && !round.test);
    let is_whole =
        round.lane == Lane::Patch && round.roles.len() == 1 && round.candidates.is_none();
    if file.fallback.is_some() {
        let message =
            "`fallback` goes to a protocol that does not know the test; leave one of the two out"
                .to_owned();
        return refuse("fallback", message);
    }
    if !is_whole || tests.next().is_some() {
        let message = "one round may have `test: true`, with the lane `patch` and one role: a test has one author".to_owned();
        return refuse(name, message);
    }
    if patch.is_some_and(|patch| at > patch) {
        let message = format!(
            "round `{name}` has `test: true`, so it must come before the round with the patch"
        );
        return refuse(name, message);
    }
    Ok(())
}

/// The most candidates: each is a row and a validation.
const CANDIDATES_MAX: usize = 9;

fn check_candidates(file: &ProtocolFile) -> Result<(), Unusable> {
    for round in &file.rounds {
        let name = &round.name;
        let Some(count) = round.candidates else {
            if round.select.is_some() {
                let message =
                    format!("round `{name}` has `select`, but no `candidates` to select from");
                return refuse("select", message);
            }
            continue;
        };
        if !(2..=CANDIDATES_MAX).contains(&count) {
            let message = format!(
                "round `{name}` has {count} `candidates`; it may have 2 to {CANDIDATES_MAX}"
            );
            return refuse("candidates", message);
        }
        if round.lane != Lane::Patch {
            let message = format!(
                "round `{name}` has `candidates`, which are patches, but not the lane `patch`"
            );
            return refuse("candidates", message);
        }
        if file.fallback.is_some() {
            let message = "`fallback` goes to a protocol that does not know which of the `candidates` is selected; leave one of the two out".to_owned();
            return refuse("fallback", message);
        }
        match (round.select, file.consensus.is_some()) {
            (Some(Select::Vote), false) => {
                return refuse(
                    "select",
                    format!("round `{name}` has `select: vote`, but there is no `consensus`"),
                );
            }
            (Some(Select::Evidence), true) => {
                return refuse(
                    "select",
                    format!(
                        "round `{name}` has `select: evidence`, so the votes of `consensus` would have no effect"
                    ),
                );
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_consensus(file: &ProtocolFile) -> Result<(), Unusable> {
    let last = file.rounds.len() - 1;
    let Some(gate) = &file.consensus else {
        return match file.rounds[last].lane {
            Lane::Patch => Ok(()),
            Lane::ReadOnly => refuse(
                &file.rounds[last].name,
                "without `consensus` the round with the patch must be the last one: the answers of later rounds would have no effect".to_owned(),
            ),
        };
    };
    let position = |name: &RoundName| file.rounds.iter().position(|round| round.name == *name);
    let voters = file.rounds[last].roles.len();
    if position(&gate.round) != Some(last) {
        let message = format!(
            "`consensus.round` is `{}`, which is not the last round: later rounds would never run",
            gate.round
        );
        return refuse(&gate.round, message);
    }
    if gate.early_vote && file.rounds.iter().any(|round| round.candidates.is_some()) {
        let message =
            "`early_vote` is for votes on one patch, but there are `candidates`".to_owned();
        return refuse("early_vote", message);
    }
    if gate.threshold == 0 || gate.threshold as usize > voters {
        let message = format!(
            "`consensus.threshold` is {}, but `{}` has {voters} voters",
            gate.threshold, gate.round
        );
        return refuse("threshold", message);
    }
    if position(&gate.retry_from).is_none_or(|from| from >= last) {
        let message = format!(
            "`consensus.retry_from` is `{}`, which is no round before the vote",
            gate.retry_from
        );
        return refuse("retry_from", message);
    }
    Ok(())
}

/// Names become parts of row ids, which are split at dots, and of file names.
fn is_word(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_part)
}
