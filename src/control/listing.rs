//! Lists of deployments: a project's, and all that the caller sees.
//!
//! ```text
//! known by heart, by name, beyond the cursor ──▶ allowed? fits? ──▶ one page ──▶ shown, with its task
//! deleted ones: the store, a few hundred records at a time ──┘
//! ```
//!
//! Nothing is shaped that is not on the page: with ten thousand deployments a page costs what it holds,
//! and what it steps over costs a comparison.

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    access::{Caller, Object, Verb},
    deployments::{Shown, needs_project},
    error::ControlError,
    list::{Listed, Page},
    plane::Control,
    record::{Deployment, DeploymentState, Stored, decode, place},
};
use crate::{
    base::name::{DeploymentName, Name},
    store::Order,
};

/// Records of deleted deployments that are looked through at a time.
const SCAN: usize = 500;

/// Tasks of a page that are asked of the store at once.
const TASKS_AT_ONCE: usize = 16;

/// Which deployments are asked for.
#[derive(Debug, Clone, Default)]
pub struct DeploymentFilter {
    /// In this state; deleted ones are shown only when asked for.
    pub state: Option<DeploymentState>,
    /// With this tag.
    pub tag: Option<String>,
    /// With this text in their name, display name or description.
    pub q: Option<String>,
}

/// The part of a list that is looked for.
struct Part<'a> {
    caller: &'a Caller,
    /// What all of its names begin with: a project with its `/`, or nothing.
    prefix: String,
    /// The whole name that it comes behind.
    beyond: String,
    filter: &'a DeploymentFilter,
    /// The filter's text in small letters.
    q: Option<String>,
    /// Items at most: one more than the page has, so as to know whether there is a next.
    count: usize,
}

// === impl Part ===

impl<'a> Part<'a> {
    /// `after` is where the page before ended, without the prefix.
    fn new(
        caller: &'a Caller,
        prefix: String,
        after: Option<&str>,
        filter: &'a DeploymentFilter,
        limit: usize,
    ) -> Self {
        Self {
            caller,
            beyond: format!("{prefix}{}", after.unwrap_or_default()),
            prefix,
            q: filter.q.as_deref().map(str::to_lowercase),
            filter,
            count: limit + 1,
        }
    }

    fn fits(&self, name: &DeploymentName, record: &Deployment) -> bool {
        let filter = self.filter;
        filter.state.is_none_or(|state| record.state == state)
            && filter
                .tag
                .as_ref()
                .is_none_or(|tag| record.tags.contains(tag))
            && self.q.as_ref().is_none_or(|q| {
                let texts = [
                    &name.as_str()[self.prefix.len()..],
                    &record.display_name,
                    &record.description,
                ];
                texts.iter().any(|text| text.to_lowercase().contains(q))
            })
    }
}

// === impl Control ===

impl Control {
    /// The deployments of a project, by name.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn deployments(
        &self,
        caller: &Caller,
        project: &Name,
        filter: &DeploymentFilter,
        page: &Page,
    ) -> Result<Listed<Shown>, ControlError> {
        {
            let state = self.state();
            match caller.may(Verb::Read, Object::Project(project.as_str()), &state) {
                Ok(()) => needs_project(&state, project.as_str())?,
                Err(forbidden) => {
                    let mut of_project = state.deployments_of(project.as_str());
                    let is_seen =
                        |name| caller.is_allowed(Verb::Read, Object::Deployment(name), &state);
                    if !of_project.any(|(name, _)| is_seen(name)) {
                        // Nothing here is shared with them either.
                        return Err(forbidden);
                    }
                }
            }
        }
        let prefix = format!("{project}/");
        let part = Part::new(caller, prefix, page.last()?, filter, page.limit);
        self.page_of(&part, |shown| shown.name.deployment()).await
    }

    /// All deployments that the caller may see, by `{project}/{deployment}`.
    ///
    /// # Errors
    /// When the cursor is none.
    pub async fn all_deployments(
        &self,
        caller: &Caller,
        filter: &DeploymentFilter,
        page: &Page,
    ) -> Result<Listed<Shown>, ControlError> {
        let after = page.last()?;
        if after.is_some_and(|after| DeploymentName::parse(after).is_err()) {
            return Err(Page::bad_cursor());
        }
        let part = Part::new(caller, String::new(), after, filter, page.limit);
        self.page_of(&part, |shown| shown.name.as_str()).await
    }

    async fn page_of(
        &self,
        part: &Part<'_>,
        name: impl Fn(&Shown) -> &str,
    ) -> Result<Listed<Shown>, ControlError> {
        let mut found = match part.filter.state {
            Some(DeploymentState::Deleted) => self.tombstones(part).await?,
            _ => self.standing_ones(part),
        };
        let more = found.len() == part.count;
        found.truncate(part.count - 1);
        let next = found.last().filter(|_| more);
        let next = next.map(|last| Page::cursor(name(last)));
        // Most tasks have ended long ago and are known to the store alone.
        let shown = stream::iter(found).map(|shown| self.with_task(shown));
        let items = shown.buffered(TASKS_AT_ONCE).try_collect().await?;
        Ok(Listed { items, next })
    }

    fn standing_ones(&self, part: &Part<'_>) -> Vec<Shown> {
        let state = self.state();
        state
            .deployments_beyond(&part.beyond)
            .take_while(|(name, _)| name.as_str().starts_with(&part.prefix))
            .filter(|(name, held)| {
                part.fits(name, &held.record)
                    && part
                        .caller
                        .is_allowed(Verb::Read, Object::Deployment(name), &state)
            })
            .take(part.count)
            .map(|(name, held)| self.show(&state, name, held))
            .collect()
    }

    /// Deleted deployments that the caller may see: a share of one that stands shows none of them.
    async fn tombstones(&self, part: &Part<'_>) -> Result<Vec<Shown>, ControlError> {
        let prefix = format!("{}{}", place::DEPLOYMENTS, part.prefix);
        let mut after = format!("{}{}", place::DEPLOYMENTS, part.beyond);
        let mut found = Vec::new();
        loop {
            let records = self
                .store
                .list(&prefix, Some(&after), SCAN, Order::Up)
                .await?;
            for record in &records {
                let stored: Stored<Deployment> = decode(record)?;
                let name = DeploymentName::parse(&record.key[place::DEPLOYMENTS.len()..]);
                let Ok(name) = name else { continue };
                let object = Object::Deployment(&name);
                if stored.value.is_deleted()
                    && part.fits(&name, &stored.value)
                    && part.caller.is_allowed(Verb::Read, object, &self.state())
                {
                    found.push(Shown {
                        name,
                        stored,
                        task: None,
                        live: None,
                        backends: Vec::new(),
                        challenger: None,
                        limits: None,
                        gate: None,
                    });
                }
                if found.len() == part.count {
                    return Ok(found);
                }
            }
            match records.last() {
                Some(last) if records.len() == SCAN => after.clone_from(&last.key),
                _ => return Ok(found),
            }
        }
    }
}
