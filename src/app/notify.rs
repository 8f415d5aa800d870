//! Notifications: what delivers them, and the mail relay.

use std::{net::SocketAddr, sync::Arc};

use super::{StartError, options};
use crate::{
    base::task,
    config::Settings,
    hook::Signer,
    net::guard::AddressGuard,
    notify::{Mailer, Notifier},
    store::Sqlite,
};

/// Reads what delivering needs. `own` is where weir itself listens, the admin plane last.
pub(super) fn open(
    settings: &Settings,
    store: &Arc<Sqlite>,
    signer: &Arc<Signer>,
    own: &[SocketAddr; 2],
) -> Result<Arc<Notifier>, StartError> {
    let guard = AddressGuard::for_webhooks(
        settings.webhook.allow_networks.clone(),
        settings.webhook.deny_networks.clone(),
        own.to_vec(),
    );
    let mailer = options::mail(settings).map(Mailer::new).transpose()?;
    let notifier = Notifier::new(
        Arc::clone(store) as _,
        Arc::new(guard),
        Arc::clone(signer),
        mailer,
        options::notify(settings, own[1]),
    )?;
    Ok(Arc::new(notifier))
}

/// Starts delivering, on the control runtime.
pub(super) fn start(notifier: Arc<Notifier>) {
    task::spawn("notifications", async move { notifier.run().await });
}
