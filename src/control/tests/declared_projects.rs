//! Projects and tenants that a file names, and versions that differ in an example alone.

use std::collections::BTreeSet;

use super::*;
use crate::control::{
    Page,
    access::Caller,
    record::{Project, Tenant},
};

const FILE: &str = "[[tenant]]\nname = 'retail'\ndescription = 'Shops'\n\
                    [[project]]\nname = 'demo'\ntenant = 'retail'\ndescription = 'Tries'\n\
                    [[project]]\nname = 'plain'\n";

impl World {
    fn one_project(&self, name: &str) -> Option<Project> {
        let found = self.control.project(&ROOT, name).ok();
        found.map(|stored| stored.value)
    }

    fn one_tenant(&self, name: &str) -> Option<Tenant> {
        let found = self.control.tenant(&ROOT, name).ok();
        found.map(|stored| stored.value)
    }

    /// The mistakes of a file that control refuses.
    async fn refused(&self, text: &str) -> String {
        let declarations = Declarations::from_toml(text).expect("declarations");
        let refused = self.control.declare(declarations).await;
        refused.expect_err("a mistake").to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_ones_are_made_and_none_is_touched_or_deleted() {
    let world = World::new().await;
    let changes = world.declare(FILE).await;
    assert_eq!((changes.tenants_created, changes.projects_created), (1, 2));
    assert!(!changes.is_empty());
    let retail = world.one_tenant("retail").expect("made");
    assert_eq!(
        (retail.description.as_str(), retail.created_by.as_str()),
        ("Shops", "declarations")
    );
    let demo = world.one_project("demo").expect("made");
    assert_eq!(
        (demo.tenant.as_str(), demo.description.as_str()),
        ("retail", "Tries")
    );
    let plain = world.one_project("plain").expect("made");
    assert_eq!(
        (plain.tenant.as_str(), plain.description.as_str()),
        ("default", "")
    );
    assert!(world.declare(FILE).await.is_empty());
    // It is known over a restart, and what it says else about one that is there says nothing.
    let world = world.again().await;
    let other = FILE.replace("Shops", "x").replace("Tries", "y");
    assert!(world.declare(&other).await.is_empty());
    assert_eq!(world.one_tenant("retail"), Some(retail));
    assert_eq!(world.one_project("demo"), Some(demo.clone()));
    let elsewhere = FILE.replace("tenant = 'retail'", "tenant = 'default'");
    assert!(world.declare(&elsewhere).await.is_empty());
    assert!(world.declare("").await.is_empty());
    assert_eq!(world.one_project("demo"), Some(demo));
    assert!(world.one_tenant("retail").is_some());
    let page = Page {
        after: None,
        limit: 10,
    };
    let deeds = world
        .control
        .deeds(&Caller::root(), &page)
        .await
        .expect("kept");
    let made = deeds
        .items
        .iter()
        .map(|(_, deed)| (deed.kind.as_str(), deed.name.as_str()));
    // Newest first; all of one commit.
    let made: BTreeSet<_> = made.collect();
    let expected = [
        ("project", "demo"),
        ("project", "plain"),
        ("tenant", "retail"),
    ];
    assert_eq!((deeds.items.len(), made), (3, BTreeSet::from(expected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn they_come_before_what_is_in_them() {
    let world = World::new().await;
    let text = format!(
        "[[deployment]]\nproject = 'demo'\nname = 'iris'\n\
         version.main.backends = [{{ url = 'http://127.0.0.1:1' }}]\n{FILE}"
    );
    let changes = world.declare(&text).await;
    assert_eq!(
        (changes.projects_created, changes.deployments_created),
        (2, 1)
    );
    assert_eq!(world.live("demo/iris"), Some(1));
    let demo = world.one_project("demo").expect("made");
    assert_eq!(demo.tenant.as_str(), "retail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_that_can_not_be_is_a_mistake_and_nothing_is_made() {
    let world = World::new().await;
    let nobody = "[[project]]\nname = 'b'\n[[project]]\nname = 'a'\ntenant = 'nobody'\n";
    assert_eq!(
        world.refused(nobody).await,
        "/project/1/tenant: there is no tenant nobody; declare it with [[tenant]]"
    );
    assert_eq!(world.one_project("b"), None);
    // A name that was another tenant's project would let that one's tokens in.
    world.declare(FILE).await;
    let gone = world.control.delete_project(&ROOT, "demo", &PLAIN).await;
    gone.expect("deleted");
    let elsewhere = FILE.replace("tenant = 'retail'", "tenant = 'default'");
    assert_eq!(
        world.refused(&elsewhere).await,
        "/project/0/tenant: demo was a project of the tenant retail, which its records, tokens and \
         shares go by"
    );
    let unsaid = FILE.replace("tenant = 'retail'\n", "");
    assert_eq!(world.declare(&unsaid).await.projects_created, 1);
    let demo = world.one_project("demo").expect("made");
    assert_eq!(demo.tenant.as_str(), "retail");
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_counted() {
    let world = World::within(Limits {
        projects_max: 1,
        tenants_max: 2,
        ..Limits::default()
    })
    .await;
    let words = world.refused(FILE).await;
    assert!(words.contains("projects_max"), "{words}");
    let two = "[[tenant]]\nname = 'a'\n[[tenant]]\nname = 'b'\n";
    let words = world.refused(two).await;
    assert!(words.contains("tenants_max"), "{words}");
    assert_eq!(
        (world.one_project("demo"), world.one_tenant("a")),
        (None, None)
    );
    world
        .declare("[[tenant]]\nname = 'a'\n[[project]]\nname = 'a'\ntenant = 'a'\n")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_differs_in_an_example_alone_is_another_one() {
    let world = World::new().await;
    let file = |example: &str| {
        format!(
            "[[deployment]]\nproject = 'demo'\nname = 'iris'\n\
             version.main.backends = [{{ url = 'http://127.0.0.1:1' }}]\n{example}\n"
        )
    };
    world.declare(&file("")).await;
    world.declare(&file("version.input_example = [5.1]")).await;
    assert_eq!(world.live("demo/iris"), Some(2));
    assert!(
        world
            .declare(&file("version.input_example = [5.1]"))
            .await
            .is_empty()
    );
    world.declare(&file("version.output_example = [5.1]")).await;
    assert_eq!(world.live("demo/iris"), Some(3));
    let world = world.again().await;
    assert!(
        world
            .declare(&file("version.output_example = [5.1]"))
            .await
            .is_empty()
    );
}
