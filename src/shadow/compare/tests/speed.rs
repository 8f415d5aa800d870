//! How long comparisons take, to be looked at rather than held to: with
//! `cargo test --release --lib compare::tests::speed -- --ignored --nocapture`.

use std::{hint::black_box, time::Duration};

use rustix::time::{ClockId, clock_gettime};

use super::*;

fn report(name: &str, spec: &CompareSpec, main: &Answer<'_>, challenger: &Answer<'_>) {
    // Of this thread alone: others may be busy.
    let spent = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("a time");
    let (start, mut rounds) = (spent(), 0_u32);
    while spent() - start < Duration::from_millis(300) {
        black_box(compare(
            black_box(spec),
            black_box(main),
            black_box(challenger),
        ));
        rounds += 1;
    }
    let each = (spent() - start) / rounds;
    let Compared::Looked(found) = compare(spec, main, challenger) else {
        panic!("{name} was not compared");
    };
    println!("{name:<44} {each:>12.2?}  distance {:.4}", found.distance);
}

/// A text of about so many bytes, as models answer.
fn predictions(bytes: usize, bias: f64) -> String {
    let mut items = Vec::new();
    let mut length = 0;
    while length < bytes {
        let at = items.len();
        let score = (at as f64 * 0.37).sin() + bias;
        let item = format!(r#"{{"label":"class-{at}","score":{score:?},"box":[{at},2,3.5,4]}}"#);
        length += item.len() + 1;
        items.push(item);
    }
    format!(
        r#"{{"id":"0d9f","model":"m","predictions":[{}]}}"#,
        items.join(",")
    )
}

fn prose(chars: usize, every: usize) -> String {
    let mut text = String::new();
    for at in 0.. {
        if text.len() >= chars {
            break;
        }
        let word = at * 7_919 % 997;
        text += &if at % every == every - 1 {
            "other ".to_owned()
        } else {
            format!("w{word} ")
        };
    }
    text
}

#[test]
#[ignore = "measures; it holds nothing"]
fn times() {
    let auto = CompareSpec::default();
    for (name, bytes) in [("1 KiB", 1 << 10), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20)] {
        let (main, near) = (predictions(bytes, 0.0), predictions(bytes, 1e-9));
        report(
            &format!("JSON {name}, same bytes"),
            &auto,
            &json(&main),
            &json(&main),
        );
        report(&format!("JSON {name}"), &auto, &json(&main), &json(&near));
        let spec = CompareSpec {
            ignore: pointers(&["/id", "/predictions/*/box"]),
            unordered: pointers(&["/predictions"]),
            ..CompareSpec::default()
        };
        report(
            &format!("JSON {name}, places declared"),
            &spec,
            &json(&main),
            &json(&near),
        );
    }
    let tensor = |bias: f64| {
        let data: Vec<_> = (0..10_000)
            .map(|at| (f64::from(at) * 0.37).sin() + bias)
            .collect();
        format!(
            r#"{{"outputs":[{{"name":"x","shape":[10000],"datatype":"FP64","data":{data:?}}}]}}"#
        )
    };
    report(
        "tensor of 10,000",
        &auto,
        &json(&tensor(0.0)),
        &json(&tensor(1e-9)),
    );
    for chars in [4 << 10, 12 << 10, 64 << 10, 511 << 10] {
        let [main, near, far] = [usize::MAX, 20, 2].map(|every| prose(chars, every));
        let text = |text: &'static str| answer("text/plain", text.as_bytes());
        let [main, near, far] = [main, near, far].map(|owned| text(owned.leak()));
        report(&format!("text {chars}, near"), &auto, &main, &near);
        report(&format!("text {chars}, far"), &auto, &main, &far);
    }
    let noise = |seed: u32| -> &'static str {
        let each = (0..130_000_u32).map(|at| (at ^ seed).wrapping_mul(2_654_435_761) >> 12);
        let chars = each.filter_map(|number| char::from_u32(0x4E00 + number % 20_000));
        chars.collect::<String>().leak()
    };
    let texts = [noise(1), noise(2)].map(|text| answer("text/plain", text.as_bytes()));
    report(
        "text of 130,000 ideographs, all different",
        &auto,
        &texts[0],
        &texts[1],
    );
    let vast = vec![b'0'; 16 << 20];
    let mut other = vast.clone();
    other[16 << 19] = b'1';
    let bytes = |body| answer("image/png", body);
    report("16 MiB of bytes", &auto, &bytes(&vast), &bytes(&other));
    let stars = ["", "/*", "/*/*", "/*/*/*"];
    let spec = CompareSpec {
        unordered: pointers(&stars),
        ..of_kind(CompareKind::Json)
    };
    let hard = |bias: f64| {
        let number = |at: i32| format!("{:?}", f64::from(at) + bias);
        let row = |from: i32| {
            format!(
                "[{}]",
                (from..from + 64).map(number).collect::<Vec<_>>().join(",")
            )
        };
        let rows = |_| format!("[{}]", (0..64).map(row).collect::<Vec<_>>().join(","));
        format!("[{}]", (0..64).map(rows).collect::<Vec<_>>().join(","))
    };
    let texts = [hard(0.0), hard(0.25)];
    report(
        "JSON 64 x 64 x 64, any order, none agree",
        &spec,
        &json(&texts[0]),
        &json(&texts[1]),
    );
}
