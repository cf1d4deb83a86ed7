//! Days and times for people, in UTC.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use types::number::Timestamp;

/// A day as `2026-11-22`, of milliseconds since the Unix epoch.
pub fn day(unix_ms: u64) -> String {
    of(unix_ms).map_or_else(|| in_ms(unix_ms), |time| time.date().to_string())
}

/// A minute as `2026-11-22 19:58 UTC`, of milliseconds since the Unix epoch.
pub fn minute(unix_ms: u64) -> String {
    of(unix_ms).map_or_else(
        || in_ms(unix_ms),
        |time| {
            format!(
                "{} {:02}:{:02} UTC",
                time.date(),
                time.hour(),
                time.minute()
            )
        },
    )
}

/// A second as `2026-11-22T19:58:00Z`.
pub fn second(at: Timestamp) -> String {
    let text = of(at.0).and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_else(|| in_ms(at.0))
}

/// The whole second of a time; none beyond the year 9999.
fn of(unix_ms: u64) -> Option<OffsetDateTime> {
    let seconds = i64::try_from(unix_ms / 1_000).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

fn in_ms(unix_ms: u64) -> String {
    format!("{unix_ms} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01"),
            (951_782_400_000, "2000-02-29"),
            (951_868_800_000, "2000-03-01"),
            (1_709_164_800_000, "2024-02-29"),
            (1_735_689_599_999, "2024-12-31"),
            (1_795_377_480_000, "2026-11-22"),
            (4_107_542_400_000, "2100-03-01"),
        ];
        for (ms, text) in cases {
            assert_eq!(day(ms), text);
        }
        assert_eq!(minute(1_795_377_480_000), "2026-11-22 19:58 UTC");
    }

    #[test]
    fn times_are_read_by_people() {
        assert_eq!(second(Timestamp(0)), "1970-01-01T00:00:00Z");
        assert_eq!(second(Timestamp(1_795_379_999_999)), "2026-11-22T20:39:59Z");
        assert_eq!(second(Timestamp(u64::MAX)), format!("{} ms", u64::MAX));
    }
}
