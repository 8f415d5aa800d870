//! What the command line takes.

use clap::{CommandFactory, Parser};

use super::super::Arguments;

fn refused(line: &str) -> Option<clap::error::ErrorKind> {
    let words = line.split_whitespace();
    Arguments::try_parse_from(words)
        .err()
        .map(|error| error.kind())
}

#[test]
fn the_command_line_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn every_verb_takes_a_name_in_either_form() {
    for verb in [
        "info",
        "deploy --model m",
        "update",
        "rollback",
        "promote",
        "stop",
        "restart",
        "delete",
        "history",
        "versions",
        "logs",
        "watch",
        "verdict --exit-code",
        "pairs --result disagree",
        "pair --id 17",
        "readme",
        "openapi",
        "create --backend http://a",
    ] {
        for noun in ["deployment", "endpoint"] {
            for name in [
                "demo/iris",
                "--project demo --endpoint iris",
                "-p demo -e iris",
                "--project demo --deployment iris",
                "--project demo --endpoint_name iris",
                "--project demo --endpoint-name iris",
            ] {
                let line = format!("weir {noun} {verb} {name} --token t -o json");
                assert_eq!(refused(&line), None, "{line}");
            }
            for wrong in [
                "demo/iris --project demo --endpoint iris",
                "--endpoint iris",
                "Demo/x",
            ] {
                let line = format!("weir {noun} {verb} {wrong}");
                assert!(refused(&line).is_some(), "{line}");
            }
        }
    }
}

#[test]
fn lines_written_for_sambastudio_are_taken() {
    for line in [
        "weir endpoint create --project demo --endpoint_name iris --description x \
         --model-checkpoint iris-1 --instances 2 --arch sn40 --backend http://a=2",
        "weir endpoint list --project demo",
        "weir endpoint info --project demo --endpoint iris",
        "weir endpoint add-apikey --project demo --endpoint iris --description app",
        "weir endpoint list-apikeys --project demo --endpoint iris",
        "weir endpoint edit-apikey --project demo --endpoint iris --apikey k1 --description app",
        "weir endpoint revoke-apikey --project demo --endpoint iris --apikey k1 -y",
        "weir endpoint info-apikey --project demo --endpoint iris --apikey k1",
        "weir endpoint delete --project demo --endpoint iris",
    ] {
        assert_eq!(refused(line), None, "{line}");
    }
    for line in [
        "weir deployment add-apikey demo/iris",
        "weir endpoint info-apikey demo/iris",
        "weir endpoint edit-apikey demo/iris --apikey k1",
    ] {
        assert!(refused(line).is_some(), "{line}");
    }
}

#[test]
fn a_pair_by_its_number_behind_a_name() {
    for line in [
        "weir deployment pair demo/iris 17",
        "weir endpoint pair demo/iris 17 -o json",
        "weir deployment verdict demo/iris --version iris_v2 --watch",
        "weir deployment pairs demo/iris --version 2 --format csv -n 5",
    ] {
        assert_eq!(refused(line), None, "{line}");
    }
    for line in [
        "weir deployment pair demo/iris x",
        "weir deployment pair demo/iris 17 --id 18",
        "weir deployment verdict demo/iris --watch --exit-code",
    ] {
        assert!(refused(line).is_some(), "{line}");
    }
}

#[test]
fn a_version_by_its_number_beside_either_form() {
    for line in [
        "weir deployment versions demo/iris iris_v2",
        "weir deployment versions -p demo -e iris --number 2",
        "weir deployment rollback -p demo -e iris --to v2",
    ] {
        assert_eq!(refused(line), None, "{line}");
    }
}
