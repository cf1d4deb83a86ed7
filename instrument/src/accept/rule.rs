//! The rules that keep compiling cheap, with their limits, and what a module that breaks one of them is told.

/// Most parameters and locals of a function.
pub const MAX_LOCALS: u64 = 4_096;
/// Most parameters and locals of all functions together.
pub const MAX_LOCALS_IN_ALL: u64 = 1 << 20;
/// Most blocks, loops and conditions within one another.
pub const MAX_NESTING: u64 = 4_096;
/// Most bytes of a function's body.
pub const MAX_BODY_BYTES: u64 = 1 << 20;
/// Most branch targets in all branch tables of a function, defaults included.
pub const MAX_TABLE_TARGETS: u64 = 65_520;
/// Most loops times parameters and locals of a function.
pub const MAX_LOOP_LOCALS: u64 = 1 << 17;
/// Most bytes of a function's body with what the pass inserts: what validation takes.
pub const MAX_PREPARED_BODY_BYTES: u64 = 7_654_321;
/// Most bytes of a prepared module.
pub const MAX_PREPARED_BYTES: u64 = 1 << 29;
/// Most types, most globals and most exports of a module.
pub const MAX_ITEMS: u64 = 100_000;
/// Most branches times parameters and locals of a function.
pub const MAX_BRANCH_LOCALS: u64 = 1 << 23;
/// Most values that the labels, branches and calls of a function carry, those counted that have a type of their own.
pub const MAX_CARRIED: u64 = 1 << 16;
/// Most parameters and results of all types together.
pub const MAX_TYPE_VALUES: u64 = 1 << 16;
/// Most segments of tables.
pub const MAX_ELEMENT_SEGMENTS: u64 = 1_024;
/// Most elements that the tables of a module begin with, all together.
pub const MAX_TABLE_ELEMENTS: u64 = 1 << 20;
/// Most first values, elements and segments that are computed when an instance begins.
pub const MAX_COMPUTED: u64 = 1 << 14;
/// Most functions, imported ones included.
pub const MAX_FUNCTIONS: u64 = 200_000;
/// Beginning of names that the pass keeps for itself: no import and no export may have one.
pub const RESERVED: &str = "gridproof:";
/// Why the class does not take a module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClassRule {
    /// Not a valid module of the class's proposals.
    #[error("not a valid module of the class's proposals: {message}")]
    Invalid {
        /// Message of the validator, for people; nothing is decided by it.
        message: String,
    },
    /// A function has too many parameters and locals.
    #[error(
        "function {function} has {found} parameters and locals, at most {MAX_LOCALS} are allowed"
    )]
    TooManyLocals {
        /// Index of the function.
        function: u32,
        /// Its parameters and locals.
        found: u64,
    },
    /// All functions together have too many parameters and locals.
    #[error(
        "{found} parameters and locals in all functions, at most {MAX_LOCALS_IN_ALL} are allowed"
    )]
    TooManyLocalsInAll {
        /// Parameters and locals up to the function that passed the limit.
        found: u64,
    },
    /// Blocks lie too deep within one another.
    #[error("function {function} nests blocks {found} deep, at most {MAX_NESTING} are allowed")]
    TooDeep {
        /// Index of the function.
        function: u32,
        /// Depth that passed the limit.
        found: u64,
    },
    /// A function's body is too long.
    #[error("function {function} has {found} bytes, at most {MAX_BODY_BYTES} are allowed")]
    BodyTooLong {
        /// Index of the function.
        function: u32,
        /// Bytes of its body.
        found: u64,
    },
    /// A function's branch tables have too many targets.
    #[error(
        "function {function} has {found} targets in branch tables, at most {MAX_TABLE_TARGETS} are allowed"
    )]
    TooManyTargets {
        /// Index of the function.
        function: u32,
        /// Targets up to the table that passed the limit.
        found: u64,
    },
    /// A function has too many loops for its locals.
    #[error(
        "function {function} has {found} loops times locals, at most {MAX_LOOP_LOCALS} are allowed"
    )]
    TooManyLoopLocals {
        /// Index of the function.
        function: u32,
        /// Its loops times its parameters and locals.
        found: u64,
    },
    /// A function has too many branches for its locals: each is a place where all of them may have to be joined.
    #[error(
        "function {function} has {found} branches times locals, at most {MAX_BRANCH_LOCALS} are allowed"
    )]
    TooManyBranchLocals {
        /// Index of the function.
        function: u32,
        /// Its branches times its parameters and locals.
        found: u64,
    },
    /// The labels, branches and calls of a function carry too many values.
    #[error(
        "labels, branches and calls of function {function} carry {found} values, at most {MAX_CARRIED} are allowed"
    )]
    TooManyCarried {
        /// Index of the function.
        function: u32,
        /// Values up to the operator that passed the limit.
        found: u64,
    },
    /// All types together have too many parameters and results.
    #[error("{found} parameters and results in all types, at most {MAX_TYPE_VALUES} are allowed")]
    TooManyTypeValues {
        /// Parameters and results up to the type that passed the limit.
        found: u64,
    },
    /// The module has too many segments of tables.
    #[error("{found} segments of tables, at most {MAX_ELEMENT_SEGMENTS} are allowed")]
    TooManySegments {
        /// Segments that the module declares.
        found: u64,
    },
    /// The module's tables begin with too many elements.
    #[error("tables begin with {found} elements, at most {MAX_TABLE_ELEMENTS} are allowed")]
    TooManyTableElements {
        /// Elements that all tables begin with.
        found: u64,
    },
    /// Too much is computed when an instance begins.
    #[error(
        "{found} first values, elements and segments are computed when an instance begins, at most {MAX_COMPUTED} are allowed"
    )]
    TooManyComputed {
        /// What is computed.
        found: u64,
    },
    /// The module has too many functions.
    #[error("{found} functions, at most {MAX_FUNCTIONS} are allowed")]
    TooManyFunctions {
        /// Functions that the module declares or imports.
        found: u64,
    },
    /// A function's body is too long with what the pass inserts.
    #[error(
        "function {function} has {found} bytes when it is prepared, at most {MAX_PREPARED_BODY_BYTES} are allowed"
    )]
    PreparedBodyTooLong {
        /// Index of the function.
        function: u32,
        /// Bytes of its prepared body.
        found: u64,
    },
    /// The module is too long with what the pass inserts.
    #[error("the prepared module has {found} bytes, at most {MAX_PREPARED_BYTES} are allowed")]
    PreparedTooLong {
        /// Bytes of the prepared module up to the function that passed the limit.
        found: u64,
    },
    /// A list of the module is too long for the pass to add to it.
    #[error("{found} types, globals or exports, at most {MAX_ITEMS} of each are allowed")]
    TooManyItems {
        /// Length of the longest of these lists.
        found: u64,
    },
    /// An import or an export has a name of the pass's own.
    #[error("the name {name:?} is reserved")]
    ReservedName {
        /// The name.
        name: String,
    },
}

impl From<wasmparser::Error> for ClassRule {
    fn from(error: wasmparser::Error) -> Self {
        Self::Invalid {
            message: error.to_string(),
        }
    }
}
