//! What no patch may do to a path.

/// Limit of the name of a file or folder, in bytes, as in Linux.
pub(super) const NAME_BYTES_MAX: usize = 255;
/// Limit of a path, in bytes: half of what Linux takes. The other half is for the folder of the repository and of its copies.
pub(super) const PATH_BYTES_MAX: usize = 2048;

/// Why a path may not be changed, or not in this way. Continues the sentence "the patch touches `path`, which …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// An absolute path.
    #[error("is absolute; paths are relative to the repository's root")]
    Absolute,
    /// `..`, `.` or an empty part.
    #[error("is not a plain path below the repository's root")]
    NotPlain,
    /// Line ends, escapes, bells.
    #[error("holds control characters")]
    Control,
    /// Bidirectional control characters, which make a path look like another one.
    #[error("holds characters that change the direction of text")]
    Direction,
    /// A part that no file system takes as a name.
    #[error("has a name of {bytes} bytes; file systems take at most {NAME_BYTES_MAX}")]
    LongName {
        /// The size of that part.
        bytes: usize,
    },
    /// A path that leaves too little room for the folder of the repository.
    #[error("has {bytes} bytes; a path has at most {PATH_BYTES_MAX}")]
    LongPath {
        /// The size of the path.
        bytes: usize,
    },
    /// The file of learnings.
    #[error("belongs to the learnings")]
    Learnings,
    /// `.git`, or a name that some file system treats as `.git`.
    #[error("belongs to git")]
    Git,
    /// The plan file, or a folder that holds plans.
    #[error("belongs to the plan")]
    Plan,
    /// The folder of runs.
    #[error("belongs to the runs of `mesh`")]
    Artifacts,
    /// Below a link of the repository, or one that the patch creates.
    #[error("lies behind a symbolic link, `{link}`")]
    BehindLink {
        /// The link.
        link: String,
    },
    /// A link that the patch treats as a file.
    #[error(
        "is a symbolic link; the diff has to say so (`index … 120000`), or name the file behind it"
    )]
    IsLink,
    /// A link whose target is not given as one line.
    #[error("is a symbolic link, whose hunk has one `-` and one `+` line, both without a line end")]
    LinkContent,
    /// A link that leads out of the repository.
    #[error("would be a symbolic link to `{target}`, which {why}")]
    LinkTarget {
        /// Its target.
        target: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A change between file and link.
    #[error("would change between file and symbolic link; delete the one and add the other")]
    ChangeOfType,
    /// A folder, pipe, socket or device.
    #[error("is a folder, or something else that is no file")]
    NoFile,
    /// Below a file.
    #[error("lies below `{file}`, which is a file")]
    BelowFile {
        /// The file, of the tree or of the patch.
        file: String,
    },
    /// Mode 160000, or a submodule in the index.
    #[error("is a submodule; what it points to is not the task's to change")]
    Submodule,
    /// Below a submodule.
    #[error("lies in `{submodule}`, which is a repository of its own")]
    InSubmodule {
        /// The submodule or nested repository.
        submodule: String,
    },
    /// Another mode, such as set-uid.
    #[error("would get mode {0}; only 100644, 100755 and 120000 are allowed")]
    Mode(String),
    /// Binary content, which is not allowed.
    #[error("is binary; `--allow-binary` lets that through")]
    Binary,
    /// `Binary files a/x and b/x differ`
    #[error("is binary, and the diff does not hold what it becomes; `git diff --binary` does")]
    BinaryWithoutContent,
    /// Git accepts binary content only with both full object ids.
    #[error(
        "is binary, and its `index` line does not hold two full object ids; `git diff --binary` writes them"
    )]
    BinaryWithoutIndex,
    /// Binary content that does not decode, so that its size is unknown.
    #[error("is binary, and its content does not decode; `git diff --binary` writes it")]
    BinaryBroken,
    /// Binary content that unpacks to too much.
    #[error("is binary and would unpack to {bytes} bytes; `--patch-bytes-max` allows {bytes_max}")]
    BinaryTooLarge {
        /// The size that the patch declares.
        bytes: String,
        /// What is allowed.
        bytes_max: u64,
    },
}
