//! Each mistake with its words.

use std::{fs, os::unix::fs::OpenOptionsExt};

use super::*;
use crate::net::tls::testing::{Authority, Files};

/// The words for a pair of files; empty when there is nothing to say.
fn words(files: &Files) -> String {
    let read = Identity::read(&files.cert, &files.key);
    let mistakes = read.map_or_else(|mistakes| mistakes, |_| vec![]);
    let lines = mistakes.iter().map(|mistake| {
        let shown = mistake.to_string();
        shown.replace(&files.dir().display().to_string(), ".")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_pair_that_fits_is_read() {
    let authority = Authority::new("test");
    let files = Files::of(&authority.issue("localhost"));
    assert_eq!(words(&files), "");
    let identity = Identity::read(&files.cert, &files.key).expect("good");
    let shown = format!("{identity:?}{:?}", Raw::read(Which::Key, &files.key));
    let key = fs::read_to_string(&files.key).expect("read");
    for line in key.lines() {
        assert!(!shown.contains(line), "{shown}");
    }
}

#[test]
fn each_mistake_says_what_to_do() {
    let authority = Authority::new("test");
    let (one, other) = (authority.issue("a.example"), authority.issue("b.example"));
    let check = |change: &dyn Fn(&Files), expected: &str| {
        let files = Files::of(&one);
        change(&files);
        assert_eq!(words(&files), expected);
    };
    let write = |path: &Path, text: &str| fs::write(path, text).expect("written");
    check(
        &|f| fs::remove_file(&f.cert).expect("removed"),
        "./cert.pem: there is no such file",
    );
    check(
        &|f| {
            fs::remove_file(&f.cert).expect("removed");
            fs::remove_file(&f.key).expect("removed");
        },
        "./cert.pem: there is no such file\n./key.pem: there is no such file",
    );
    check(
        &|f| {
            fs::remove_file(&f.cert).expect("removed");
            fs::create_dir(&f.cert).expect("made");
        },
        "./cert.pem: is not a file",
    );
    check(
        &|f| write(&f.cert, "\u{1}\u{2}"),
        "./cert.pem: holds no certificate in PEM (-----BEGIN CERTIFICATE-----); \
         `openssl x509 -inform DER -in FILE` turns DER into it",
    );
    check(
        &|f| write(&f.cert, "-----BEGIN CERTIFICATE-----\nAAAA\n"),
        "./cert.pem: is not valid PEM: a section has no -----END line",
    );
    check(
        &|f| {
            write(&f.cert, &one.key_pem());
            write(&f.key, &one.pem());
            // As certificates are.
            let open = fs::Permissions::from_mode(0o644);
            fs::set_permissions(&f.key, open).expect("set");
        },
        "./cert.pem: holds a private key, and ./key.pem a certificate: the two are swapped",
    );
    check(
        &|f| write(&f.cert, &one.key_pem()),
        "./cert.pem: holds a private key where a certificate belongs",
    );
    check(
        &|f| write(&f.key, &one.pem()),
        "./key.pem: holds a certificate where its private key belongs",
    );
    check(
        &|f| write(&f.key, "hunter2"),
        "./key.pem: holds no private key in PEM (-----BEGIN PRIVATE KEY-----)",
    );
    for (name, headers) in [
        ("ENCRYPTED PRIVATE KEY", ""),
        (
            "RSA PRIVATE KEY",
            "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n",
        ),
    ] {
        check(
            &|f| {
                let text = format!("-----BEGIN {name}-----\n{headers}AAAA\n-----END {name}-----\n");
                write(&f.key, &text);
                // What others can read of it opens nothing.
                let open = fs::Permissions::from_mode(0o644);
                fs::set_permissions(&f.key, open).expect("set");
            },
            "./key.pem: is encrypted, and there is nobody to ask for its password; \
             decrypt it into a file of its own: openssl pkey -in ./key.pem -out FILE",
        );
    }
    check(
        &|f| {
            let name = "PRIVATE KEY";
            write(
                &f.key,
                &format!("-----BEGIN {name}-----\nhunter2!\n-----END {name}-----\n"),
            );
        },
        "./key.pem: is not valid PEM: a section is not base64",
    );
    check(
        &|f| {
            let name = "PRIVATE KEY";
            write(
                &f.key,
                &format!("-----BEGIN {name}-----\naGk=\n-----END {name}-----\n"),
            );
        },
        "./key.pem: its key is of no kind that works here: RSA, ECDSA P-256 or P-384, or Ed25519",
    );
    check(
        &|f| write(&f.key, &other.key_pem()),
        "./key.pem: is not the key of the first certificate in ./cert.pem",
    );
    check(
        &|f| {
            let name = "CERTIFICATE";
            write(
                &f.cert,
                &format!("-----BEGIN {name}-----\naGk=\n-----END {name}-----\n"),
            );
        },
        "./cert.pem: its first certificate can't be understood",
    );
}

#[test]
fn a_key_that_others_can_get_at_is_refused() {
    let authority = Authority::new("test");
    for (mode, is_good) in [
        (0o600, true),
        (0o400, true),
        (0o640, true),
        (0o440, true),
        (0o604, false),
        (0o602, false),
        (0o601, false),
        (0o644, false),
        (0o660, false),
        (0o777, false),
    ] {
        let files = Files::of(&authority.issue("localhost"));
        fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).expect("set");
        let expected = match is_good {
            true => String::new(),
            false => format!(
                "./key.pem: others can get at this key (its mode is {mode:04o}); \
                 run: chmod 600 ./key.pem"
            ),
        };
        assert_eq!(words(&files), expected, "{mode:o}");
        // Nor does one that opens nothing beside it make it less of a secret.
        let marks = [
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "Proc-Type: 4,ENCRYPTED\n",
        ];
        for mark in marks {
            let key = fs::read_to_string(&files.key);
            let beside = format!("{mark}{}", key.expect("read"));
            let open = fs::Permissions::from_mode(0o600);
            fs::set_permissions(&files.key, open).expect("set");
            fs::write(&files.key, beside).expect("written");
            fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).expect("set");
            assert_eq!(words(&files), expected, "{mode:o}");
        }
    }
}

#[test]
fn authorities_are_added() {
    let authority = Authority::new("test");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ca.pem");
    let mut file = fs::File::options();
    let file = file.write(true).create(true).mode(0o644).open(&path);
    io::Write::write_all(&mut file.expect("made"), authority.pem().as_bytes()).expect("written");
    let mut roots = RootCertStore::empty();
    let raw = Raw::read(Which::Authorities, &path).expect("read");
    add_authorities(&mut roots, &raw).expect("good");
    assert_eq!(roots.len(), 1);
    fs::write(&path, "").expect("written");
    let raw = Raw::read(Which::Authorities, &path).expect("read");
    let mistake = add_authorities(&mut roots, &raw).expect_err("nothing");
    assert_eq!(mistake.which, Which::Authorities);
}
