//! Examples of `mesh st`.

use super::help::Help;

const STORE: &str = "0 success, 2 an error";

pub(super) const COMMANDS: [Help; 16] = [
    Help {
        command: "st",
        examples: &[
            "mesh st init",
            "mesh st add --step 'Write the parser'",
            "mesh st add --step 'Test the parser' --deps st-001",
            "mesh st set-status --id st-001 --status in_progress",
            "mesh st show",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st init",
        examples: &[
            "mesh st init --file .step/st-plan.jsonl",
            "mesh st init --replace",
            "mesh st init && mesh st add --step 'Write the parser'",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st add",
        examples: &[
            "mesh st add --step 'Test the parser' --deps st-001,st-002:discovered-from",
            "mesh st add --step 'Write the parser'",
            "mesh st add --id st-003 --step 'Document the parser'",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st set-status",
        examples: &[
            "mesh st set-status --id st-001 --status in_progress",
            "mesh st set-status --id st-001 --status done",
            "mesh st set-status --id st-002 --status blocked",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st set-deps",
        examples: &[
            "mesh st set-deps --id st-003 --deps st-001,st-002",
            "mesh st set-deps --id st-003 --deps ''",
            "mesh st set-deps --id st-003 --deps st-002:discovered-from",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st set-notes",
        examples: &[
            "mesh st set-notes --id st-001 --notes \"$(cat notes.md)\"",
            "mesh st set-notes --id st-001 --notes 'see docs/parser.md'",
            "mesh st set-notes --id st-001 --notes ''",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st add-comment",
        examples: &[
            "mesh st add-comment --id st-001 --text 'waits for the new schema'",
            "mesh st add-comment --id st-001 --text \"$(cat review.txt)\"",
            "mesh st add-comment --file .step/st-plan.jsonl --id st-002 --text 'split from st-001'",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st remove",
        examples: &[
            "mesh st remove --id st-003",
            "mesh st remove --id st-003 --file .step/st-plan.jsonl",
            "mesh st set-deps --id st-004 --deps '' && mesh st remove --id st-003",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st show",
        examples: &[
            "mesh st show",
            "mesh st show --format table",
            "mesh st show --format json",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st ready",
        examples: &[
            "mesh st ready",
            "mesh st ready --format json",
            "mesh st ready --file .step/st-plan.jsonl",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st blocked",
        examples: &[
            "mesh st blocked",
            "mesh st blocked --format json",
            "mesh st blocked --file .step/st-plan.jsonl",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st emit-update-plan",
        examples: &[
            "mesh st emit-update-plan",
            "mesh st emit-update-plan --file .step/st-plan.jsonl",
            "mesh st emit-update-plan > update-plan.json",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st emit-plan-sync",
        examples: &[
            "mesh st emit-plan-sync",
            "mesh st emit-plan-sync --file .step/st-plan.jsonl",
            "mesh st emit-plan-sync > plan-sync.json",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st export",
        examples: &[
            "mesh st export --output plan.json",
            "mesh st export | jq length",
            "mesh st export --file .step/st-plan.jsonl",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st import-plan",
        examples: &[
            "mesh st import-plan --input plan.json",
            "mesh st import-plan --input plan.json --replace",
            "mesh st import-plan --input plan.json --file .step/st-plan.jsonl",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
    Help {
        command: "st doctor",
        examples: &[
            "mesh st doctor",
            "mesh st doctor --repair-seq",
            "mesh st doctor --repair-seq --force",
        ],
        notes: "",
        exit_codes: STORE,
        short: &[],
    },
];
