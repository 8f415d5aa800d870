//! What stands on the wire: paths, headers, and faults as clients see them.

pub mod async_path;
pub mod authority;
pub mod h1;
pub mod headers;
pub mod native;
pub mod prefer;
pub mod rate_limit;
pub mod spare;
pub mod strict;
pub mod target;
