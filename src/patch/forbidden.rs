//! What no patch may do, with the path and the reason.

/// Why a path may not be touched, or not so. Reads on from "the patch touches `path`, which …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Begins at the root of the file system.
    #[error("is absolute; paths are relative to the repository's root")]
    Absolute,
    /// `..`, `.` or an empty part.
    #[error("is not a plain path below the repository's root")]
    NotPlain,
    /// Line ends, escapes, bells.
    #[error("holds control characters")]
    Control,
    /// Characters that turn the direction of text: the path would not look like what it is.
    #[error("holds characters that change the direction of text")]
    Direction,
    /// The learnings, which only their store writes.
    #[error("belongs to the learnings")]
    Learnings,
    /// `.git`, or what some file system takes for it.
    #[error("belongs to git")]
    Git,
    /// The plan file, or a folder that holds plans.
    #[error("belongs to the plan")]
    Plan,
    /// Where runs keep their files.
    #[error("belongs to the runs of `mesh`")]
    Artifacts,
    /// A link of the repository, or one that the patch itself makes.
    #[error("lies behind a symbolic link, `{link}`")]
    BehindLink {
        /// The link.
        link: String,
    },
    /// A link that the patch takes for a file.
    #[error(
        "is a symbolic link; the diff has to say so (`index … 120000`), or name the file behind it"
    )]
    IsLink,
    /// A link whose new content is not spelled out as one line.
    #[error("is a symbolic link, whose hunk has one `-` and one `+` line, both without a line end")]
    LinkContent,
    /// A link to somewhere else.
    #[error("would be a symbolic link to `{target}`, which {why}")]
    LinkTarget {
        /// Where it would point.
        target: String,
        /// What is wrong with that.
        why: &'static str,
    },
    /// From a file to a link or back.
    #[error("would change between file and symbolic link; delete the one and add the other")]
    ChangeOfType,
    /// Git would take it for a submodule, or find out only while it writes.
    #[error("is a folder, or something else that is no file")]
    NoFile,
    /// Git would find out only while it writes.
    #[error("lies below `{file}`, which is a file")]
    BelowFile {
        /// The file; of the tree, or of the patch.
        file: String,
    },
    /// Mode 160000, or an entry of that kind in the index.
    #[error("is a submodule; what it points to is not the task's to change")]
    Submodule,
    /// Below one.
    #[error("lies in `{submodule}`, which is a repository of its own")]
    InSubmodule {
        /// The submodule, or a repository that lies in this one.
        submodule: String,
    },
    /// Set-uid, group-writable, devices.
    #[error("would get mode {0}; only 100644, 100755 and 120000 are allowed")]
    Mode(String),
    /// Without leave.
    #[error("is binary; `--allow-binary` lets that through")]
    Binary,
    /// `Binary files a/x and b/x differ`
    #[error("is binary, and the diff does not hold what it becomes; `git diff --binary` does")]
    BinaryWithoutContent,
    /// Git takes binary content only with both full object ids.
    #[error(
        "is binary, and its `index` line does not hold two full object ids; `git diff --binary` writes them"
    )]
    BinaryWithoutIndex,
    /// Its size can't be told, so it is not for git to find out.
    #[error("is binary, and its content does not decode; `git diff --binary` writes it")]
    BinaryBroken,
    /// A small patch may unpack to a large file.
    #[error("is binary and would unpack to {bytes} bytes; `--patch-bytes-max` allows {bytes_max}")]
    BinaryTooLarge {
        /// As the patch declares it.
        bytes: String,
        /// What is allowed.
        bytes_max: u64,
    },
}
