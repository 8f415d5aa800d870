//! Hosts, origins and networks as settings, each kept in its one normal form.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// The longest host name, in bytes, as DNS has it.
const HOST_BYTES_MAX: usize = 253;

/// A host as `Host` may carry it, without a port: lower case, an IPv6 address without brackets and
/// in its shortest form. `*` stands for any.
pub(super) fn host(text: &str) -> Result<String, &'static str> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Ok(ip) = bare.unwrap_or(text).parse::<Ipv6Addr>() {
        return Ok(ip.to_string());
    }
    let name = text.to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let labels = name.split('.').all(|label| !label.is_empty());
    if name.len() <= HOST_BYTES_MAX && name.bytes().all(plain) && labels {
        Ok(name)
    } else {
        Err("is not a host name or an address; write it without a port")
    }
}

/// An origin as browsers write it: scheme, host, and the port unless it is the scheme's own.
pub(super) fn origin(text: &str) -> Result<String, &'static str> {
    const WORDS: &str = "is not an origin such as https://console.example:8443";
    let lower = text.to_ascii_lowercase();
    let (scheme, authority) = lower.split_once("://").ok_or(WORDS)?;
    let own_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return Err(WORDS),
    };
    let (bare, port) = match authority.rfind(':') {
        // A colon inside of brackets is an address's.
        Some(at) if !authority.ends_with(']') => authority.split_at(at),
        _ => (authority, ""),
    };
    let digits = port.strip_prefix(':');
    let is_port = |digits: &str| !digits.starts_with(['+', '0']) && digits.parse::<u16>().is_ok();
    if bare == "*" || host(bare).is_err() || !digits.is_none_or(is_port) {
        return Err(WORDS);
    }
    // Browsers keep the brackets, which `host` takes away.
    let bare = match bare.starts_with('[') {
        true => format!("[{}]", host(bare)?),
        false if bare.contains(':') => return Err(WORDS),
        false => bare.to_owned(),
    };
    let port = if port == own_port { "" } else { port };
    Ok(format!("{scheme}://{bare}{port}"))
}

/// A network such as `10.0.0.0/8`, or a single address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(ip) => IpNet::from(ip),
        Err(_) => text
            .parse::<IpNet>()
            .map_err(|_| "is not a network such as 10.0.0.0/8 or fd00::/8".to_owned())?,
    };
    let whole = network.trunc();
    if whole != network {
        return Err(format!("has bits behind its prefix; did you mean {whole}?"));
    }
    // Such an address is judged as the IPv4 address that it stands for.
    if let IpNet::V6(v6) = network
        && v6.prefix_len() >= 96
        && v6.network().to_ipv4_mapped().is_some()
    {
        return Err("holds IPv4 addresses in IPv6; write the IPv4 network".to_owned());
    }
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (text, expected) in [
            ("*", Some("*")),
            ("Weir.Example", Some("weir.example")),
            ("weir_1", Some("weir_1")),
            ("10.0.0.1", Some("10.0.0.1")),
            ("::1", Some("::1")),
            ("[FD00:0:0::1]", Some("fd00::1")),
            ("", None),
            ("a b", None),
            ("a..b", None),
            ("a.", None),
            ("weir:8081", None),
            ("[::1]:8081", None),
            ("http://weir", None),
            ("*.example", None),
            ("é", None),
            (&"a".repeat(254), None),
        ] {
            assert_eq!(host(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn origins() {
        for (text, expected) in [
            ("https://Console.Example", Some("https://console.example")),
            ("https://c:443", Some("https://c")),
            ("http://c:80", Some("http://c")),
            ("http://c:443", Some("http://c:443")),
            ("HTTP://127.0.0.1:3000", Some("http://127.0.0.1:3000")),
            ("http://[::0:1]:3000", Some("http://[::1]:3000")),
            ("http://[::1]", Some("http://[::1]")),
            ("*", None),
            ("null", None),
            ("http://*", None),
            ("c", None),
            ("ftp://c", None),
            ("http://", None),
            ("http://c/", None),
            ("http://c/a", None),
            ("http://u@c", None),
            ("http://c:", None),
            ("http://c:+80", None),
            ("http://c:080", None),
            ("http://c:99999", None),
            ("http://::1", None),
        ] {
            assert_eq!(origin(text).ok().as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn networks() {
        for (text, expected) in [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("FD00::/8", Some("fd00::/8")),
            ("::1", Some("::1/128")),
            ("::/0", Some("::/0")),
            ("10.1.0.0/8", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/", None),
            ("10.0.0", None),
            ("localhost", None),
            ("", None),
            ("::ffff:10.0.0.0/104", None),
            ("::ffff:10.0.0.1", None),
        ] {
            let network = network(text).ok().map(|network| network.to_string());
            assert_eq!(network.as_deref(), expected, "{text}");
        }
        let words = network("10.1.0.0/8").expect_err("bits");
        assert_eq!(
            words,
            "has bits behind its prefix; did you mean 10.0.0.0/8?"
        );
    }
}
