//! `rpcdb.Database`: the chain's part of the host's own database.

/// Reads a value.
pub const GET: &str = "/rpcdb.Database/Get";
/// Writes a value.
pub const PUT: &str = "/rpcdb.Database/Put";
/// The code of an answer without an error.
pub const NO_ERROR: i32 = 0;
/// The code of an answer that says there is no such value.
pub const NOT_FOUND: i32 = 2;

/// Asks for a value.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct GetValue {
    /// Key of the value.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
}

/// A value, or why there is none.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ValueFound {
    /// The value.
    #[prost(bytes = "vec", tag = "1")]
    pub value: Vec<u8>,
    /// [`NO_ERROR`], [`NOT_FOUND`], or 1 for a database that is closed.
    #[prost(int32, tag = "2")]
    pub err: i32,
}

/// Writes a value.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct PutValue {
    /// Key of the value.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// Whether a value was written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct ValuePut {
    /// [`NO_ERROR`], or 1 for a database that is closed.
    #[prost(int32, tag = "1")]
    pub err: i32,
}
