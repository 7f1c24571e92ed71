//! The request tables, a file a group of rules.

mod chunks;
mod connection;
mod framing;
mod identity;
mod limits;
mod syntax;
mod target;

use crate::case::Case;

/// Every row.
pub(crate) fn all() -> Vec<Case> {
    let groups = [
        framing::cases(),
        chunks::cases(),
        syntax::cases(),
        target::cases(),
        limits::cases(),
        connection::cases(),
        identity::cases(),
    ];
    groups.into_iter().flatten().collect()
}

#[test]
fn every_row_has_a_name_of_its_own_and_there_are_two_hundred() {
    let mut names: Vec<_> = all().into_iter().map(|case| case.name).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "two rows of one name");
    assert!(count >= 200, "{count} rows");
}
