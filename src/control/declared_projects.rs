//! The projects and tenants of a declarations file. Those that are missing are made, before anything
//! that is in them; nothing of one that is there is changed, and none is ever deleted: they hold what
//! others made beside the file.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    declare::{Changes, speaker},
    error::ControlError,
    limits::Limited,
    load::DEFAULT_TENANT,
    plane::{Change, Control},
    record::{Deed, Project, Stored, Tenant, place},
};
use crate::{
    base::name::Name,
    spec::{Declarations, Mistakes, ProjectSpec, Scope, TenantSpec},
};

impl Control {
    /// Puts the projects and tenants in a change that the file names and nobody has made yet.
    ///
    /// # Errors
    /// Every project with a tenant that it can't be of, with its pointer; `limit_reached`.
    pub(super) async fn declare_projects(
        &self,
        change: &mut Change,
        changes: &mut Changes,
        declarations: &Declarations,
        now: u64,
    ) -> Result<(), ControlError> {
        self.declare_tenants(change, changes, &declarations.tenants, now)?;
        let declared: BTreeSet<&Name> =
            declarations.tenants.iter().map(|spec| &spec.name).collect();
        let mut mistakes = Vec::new();
        for (name, said) in wanted(declarations) {
            if self.project_is_there(&name, said.map(|(_, spec)| spec)) {
                continue;
            }
            let said_tenant = said.and_then(|(_, spec)| spec.tenant.as_ref());
            // One that comes back is its former tenant's.
            let former = self.former_tenant(name.as_str()).await?;
            let tenant = match (said_tenant, former) {
                (Some(said), Some(former)) if *said != former => Err(format!(
                    "{name} was a project of the tenant {former}, which its records, \
                        tokens and shares go by"
                )),
                (Some(said), _) if !declared.contains(said) && !self.has_tenant(said) => Err(
                    format!("there is no tenant {said}; declare it with [[tenant]]"),
                ),
                (Some(said), _) => Ok(said.clone()),
                (None, Some(former)) if self.has_tenant(&former) => Ok(former),
                (None, _) => default_tenant(),
            };
            match tenant {
                Ok(tenant) => {
                    let project = Project {
                        tenant,
                        description: said
                            .map_or_else(String::new, |(_, spec)| spec.description.clone()),
                        created_at_ms: now,
                        created_by: speaker().name,
                        name,
                    };
                    let mut deed = Deed::new(
                        &project.created_by,
                        "create",
                        "project",
                        project.name.as_str(),
                    );
                    deed.project = Some(project.name.clone());
                    deed.tenant = Some(project.tenant.clone());
                    change.done(deed);
                    self.prepare_project(change, &project, None);
                    changes.projects_created += 1;
                }
                Err(words) => {
                    let at = said.map_or(0, |(i, _)| i);
                    mistakes.push((format!("/project/{at}/tenant"), words));
                }
            }
        }
        if let Some(mistakes) = Mistakes::found(mistakes) {
            return Err(ControlError::Mistaken(mistakes));
        }
        let there = self.state().projects().count();
        self.room(Limited::Projects, there, changes.projects_created)
    }

    fn declare_tenants(
        &self,
        change: &mut Change,
        changes: &mut Changes,
        specs: &[TenantSpec],
        now: u64,
    ) -> Result<(), ControlError> {
        for spec in specs.iter().filter(|spec| !self.has_tenant(&spec.name)) {
            let tenant = Tenant {
                name: spec.name.clone(),
                description: spec.description.clone(),
                created_at_ms: now,
                created_by: speaker().name,
            };
            change.put(place::tenant(tenant.name.as_str()), &tenant, None);
            let mut deed = Deed::new(&tenant.created_by, "create", "tenant", tenant.name.as_str());
            deed.tenant = Some(tenant.name.clone());
            change.done(deed);
            change.edit(move |state, revision| {
                state.put_tenant(Stored {
                    revision,
                    value: tenant,
                });
            });
            changes.tenants_created += 1;
        }
        let there = self.state().tenants().count();
        self.room(Limited::Tenants, there, changes.tenants_created)
    }

    fn has_tenant(&self, name: &Name) -> bool {
        self.state().tenant(name.as_str()).is_some()
    }

    /// Whether a project is there; says so when it is another tenant's than the file says.
    fn project_is_there(&self, name: &Name, said: Option<&ProjectSpec>) -> bool {
        let state = self.state();
        let Some(project) = state.project(name.as_str()) else {
            return false;
        };
        let own = &project.value.tenant;
        let other = said.and_then(|said| said.tenant.as_ref());
        if let Some(other) = other.filter(|other| *other != own) {
            tracing::warn!(
                project = %name, tenant = %own, declared = %other,
                "a declared project is another tenant's, and stays there"
            );
        }
        true
    }
}

/// The projects that a file names, by themselves or by what is in them, each with its table and that
/// one's place.
fn wanted(declarations: &Declarations) -> BTreeMap<Name, Option<(usize, &ProjectSpec)>> {
    let of_deployments = declarations
        .deployments
        .iter()
        .map(|spec| spec.name.project().to_owned());
    let of_keys = declarations.keys.iter().filter_map(|key| match &key.scope {
        Scope::Instance => None,
        Scope::Project(project) => Some(project.to_string()),
        Scope::Deployment(name) => Some(name.project().to_owned()),
    });
    let named: BTreeSet<String> = of_deployments.chain(of_keys).collect();
    // A half of a parsed name is a name.
    let named = named.iter().filter_map(|name| Name::parse(name).ok());
    let mut wanted: BTreeMap<_, _> = named.map(|name| (name, None)).collect();
    for (i, spec) in declarations.projects.iter().enumerate() {
        wanted.insert(spec.name.clone(), Some((i, spec)));
    }
    wanted
}

fn default_tenant() -> Result<Name, String> {
    Name::parse(DEFAULT_TENANT).map_err(|error| error.to_string())
}
