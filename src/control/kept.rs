//! What stays readable of a deployment when it is deleted: its history and its readme.

use std::sync::Arc;

use super::{
    access::{Caller, Object, Verb},
    deployments::unknown,
    error::ControlError,
    list::{Listed, Page},
    plane::{Change, Control, Done, Intent},
    record::{Action, Happening, Readme, Stored, decode, place},
};
use crate::{
    base::{clock::unix_ms, name::DeploymentName},
    spec::body::NewReadme,
};

impl Control {
    /// Checks that a deployment that may be deleted exists and may be read.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn readable(
        &self,
        caller: &Caller,
        name: &DeploymentName,
    ) -> Result<(), ControlError> {
        {
            let state = self.state();
            caller.may(Verb::Read, Object::Deployment(name), &state)?;
            if state.deployment(name).is_some() {
                return Ok(());
            }
        }
        match self.tombstone(name).await? {
            Some(_) => Ok(()),
            None => Err(unknown(&self.state(), name)),
        }
    }

    /// What happened to a deployment, newest first; also of a deleted one.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn history(
        &self,
        caller: &Caller,
        name: &DeploymentName,
        page: &Page,
    ) -> Result<Listed<(u64, Happening)>, ControlError> {
        self.readable(caller, name).await?;
        self.journal(&place::history(name), page).await
    }

    /// A deployment's readme; also of a deleted one.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn readme(
        &self,
        caller: &Caller,
        name: &DeploymentName,
    ) -> Result<Stored<Readme>, ControlError> {
        self.readable(caller, name).await?;
        let record = self.store.get(&place::readme(name)).await?;
        let record = record.ok_or_else(|| {
            ControlError::unknown("readme_unknown", format!("{name} has no readme"))
        })?;
        Ok(decode(&record)?)
    }

    /// Writes a deployment's readme.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn write_readme(
        self: &Arc<Self>,
        caller: &Caller,
        name: &DeploymentName,
        body: NewReadme,
        intent: &Intent,
    ) -> Result<Done<Stored<Readme>>, ControlError> {
        let turn = self.turn_by(caller).await?;
        let held = self.standing(caller, Verb::Operate, name)?;
        let before = self.store.get(&place::readme(name)).await?;
        match (&before, intent.if_match) {
            (Some(record), _) => intent.check(record.revision)?,
            (None, Some(_)) => return Err(ControlError::Changed),
            (None, None) => {}
        }
        let now = unix_ms();
        let readme = Readme {
            text: body.text,
            updated_at_ms: now,
            updated_by: caller.name.clone(),
        };
        let mut change = Change::default();
        change.put(
            place::readme(name),
            &readme,
            before.as_ref().map(|record| record.revision),
        );
        let title = held.record.display_name.clone();
        change.happened(Happening::new(
            name,
            Action::ReadmeWrite,
            &caller.name,
            title,
            now,
        ));
        let before = before.map(|record| record.revision);
        self.commit_record(turn, change, before, readme, intent)
            .await
    }
}
