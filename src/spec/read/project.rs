//! Reads projects and tenants.

use std::collections::HashMap;

use super::{
    tables,
    text::{DESCRIPTION_BYTES_MAX, name},
};
use crate::{
    base::name::Name,
    spec::{ProjectSpec, TenantSpec, reader::Reader},
};

pub(super) fn projects(reader: &mut Reader<'_>) -> Vec<ProjectSpec> {
    each(reader, "project", project, |spec| &spec.name)
}

pub(super) fn tenants(reader: &mut Reader<'_>) -> Vec<TenantSpec> {
    each(reader, "tenant", tenant, |spec| &spec.name)
}

/// The tables of this key; a name that stands there twice is a mistake.
fn each<'n, T>(
    reader: &mut Reader<'n>,
    key: &'static str,
    read: impl Fn(&mut Reader<'n>) -> Option<T>,
    name: impl Fn(&T) -> &Name,
) -> Vec<T> {
    let mut first: HashMap<Name, String> = HashMap::new();
    let mut specs = Vec::new();
    for field in tables(reader, key) {
        let Some(spec) = field.table(&read) else {
            continue;
        };
        let name = name(&spec).clone();
        if let Some(earlier) = first.get(&name) {
            field.wrong(format!("{name} is declared at {earlier} already"));
        } else {
            first.insert(name, field.pointer().to_owned());
            specs.push(spec);
        }
    }
    specs
}

fn project(reader: &mut Reader<'_>) -> Option<ProjectSpec> {
    let own = reader.required("name").and_then(|field| name(&field));
    let tenant = reader.field("tenant").map(|field| name(&field));
    let description = reader.text("description", DESCRIPTION_BYTES_MAX, "");
    Some(ProjectSpec {
        name: own?,
        tenant: match tenant {
            Some(named) => Some(named?),
            None => None,
        },
        description,
    })
}

fn tenant(reader: &mut Reader<'_>) -> Option<TenantSpec> {
    let own = reader.required("name").and_then(|field| name(&field));
    let description = reader.text("description", DESCRIPTION_BYTES_MAX, "");
    Some(TenantSpec {
        name: own?,
        description,
    })
}
