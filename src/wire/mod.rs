//! What stands on the wire: paths, headers, and faults as clients see them.

pub mod headers;
pub mod native;
pub mod spare;
pub mod target;
