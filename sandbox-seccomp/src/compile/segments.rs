//! Ranges of values with a decision each, in a form that takes few comparisons.

/// Values that are decided alike, up to the next segment, but for some single ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment<'a, T> {
    pub(super) first: u32,
    pub(super) usual: &'a T,
    pub(super) exceptions: Vec<(u32, &'a T)>,
    /// How much it counts in a balance.
    pub(super) weight: u32,
}

/// At its installation the kernel runs a filter once for every number of its table.
const TABLE: u32 = 512;

/// How many single values in a row are taken for exceptions. Between them and two new segments is no difference in length
/// where the row is longer.
const ROW: usize = 3;

/// How many comparisons a segment makes one after another. More would make the program a little shorter and the way through
/// it longer, which the kernel goes once for every number as well: measured, three install the fastest.
const EXCEPTIONS: usize = 3;

/// The segments of ranges, each of which begins at its number and ends at the next one's.
///
/// A comparison with a bound cuts the values in two. So a single value among others that are decided alike takes two of
/// them, where one for equality does.
pub(super) fn segments<T: PartialEq>(ranges: &[(u32, T)]) -> Vec<Segment<'_, T>> {
    let mut segments: Vec<Segment<'_, T>> = Vec::new();
    let mut next = 0;
    while let Some((first, decision)) = ranges.get(next) {
        let row = segments.last_mut().and_then(|segment| {
            let row = row(&ranges[next..], segment.usual)?;
            let singles = ranges[next..].iter().take(row);
            (segment.exceptions.len() + row <= EXCEPTIONS).then(|| {
                let exceptions = singles.map(|(value, decision)| (*value, decision));
                segment.exceptions.extend(exceptions);
                // What comes after them is the segment's own.
                row + 1
            })
        });
        if row.is_none() {
            segments.push(Segment {
                first: *first,
                usual: decision,
                exceptions: Vec::new(),
                weight: 1,
            });
        }
        next += row.unwrap_or(1);
        let end = ranges.get(next).map_or(TABLE, |range| range.0);
        if let Some(segment) = segments.last_mut() {
            segment.weight = 1 + end.min(TABLE) - segment.first.min(TABLE);
        }
    }
    segments
}

/// How many single values there are up to a range that is decided as `usual`; `None` where anything else comes before it.
fn row<T: PartialEq>(ranges: &[(u32, T)], usual: &T) -> Option<usize> {
    let mut near = ranges.iter().take(ROW + 1);
    let back = near.position(|range| range.1 == *usual)?;
    let firsts = ranges.iter().take(back + 1).map(|range| range.0);
    let mut widths = firsts.zip(ranges.iter().skip(1).take(back));
    widths
        .all(|(first, after)| after.0 - first == 1)
        .then_some(back)
}

#[cfg(test)]
mod tests {
    use super::segments;

    /// First values, usual decisions and numbers of exceptions.
    fn of(ranges: &[(u32, char)]) -> Vec<(u32, char, usize)> {
        segments(ranges)
            .iter()
            .map(|one| (one.first, *one.usual, one.exceptions.len()))
            .collect()
    }

    #[test]
    fn single_values_are_exceptions() {
        assert_eq!(
            of(&[(0, 'a'), (5, 'b'), (6, 'a'), (8, 'c')]),
            [(0, 'a', 1), (8, 'c', 0)]
        );
        assert_eq!(of(&[(0, 'a'), (5, 'b'), (6, 'c'), (7, 'a')]), [(0, 'a', 2)]);
        assert_eq!(
            of(&[(0, 'a'), (5, 'b'), (7, 'a')]),
            [(0, 'a', 0), (5, 'b', 0), (7, 'a', 0)]
        );
        assert_eq!(
            of(&[(0, 'a'), (5, 'b'), (6, 'c')]),
            [(0, 'a', 0), (5, 'b', 0), (6, 'c', 0)]
        );
    }

    #[test]
    fn every_value_keeps_its_decision() {
        // Each number's bits, three by three, are widths and decisions.
        for seed in 0..20_000_u32 {
            let mut first = 0;
            let mut ranges: Vec<(u32, u32)> = Vec::new();
            for place in 0..5 {
                let bits = seed >> (3 * place) & 7;
                if ranges.last().is_none_or(|last| last.1 != bits >> 1) {
                    ranges.push((first, bits >> 1));
                }
                first += 1 + (bits & 1);
            }
            let segments = segments(&ranges);
            for value in 0..12 {
                let wanted = ranges.iter().rfind(|range| range.0 <= value).unwrap().1;
                let segment = segments.iter().rfind(|one| one.first <= value).unwrap();
                let exception = segment.exceptions.iter().find(|one| one.0 == value);
                let decided = exception.map_or(segment.usual, |one| one.1);
                assert_eq!(*decided, wanted, "{value} of {ranges:?}");
            }
        }
    }
}
