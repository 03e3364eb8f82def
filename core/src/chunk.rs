//! Lists that go into storage a part at a time, because a part may have so many bytes and no more.

/// The parts of a list, in order: at most so many items each, and at most so many bytes, unless one
/// item alone has more. `size` tells the bytes of an item.
pub fn chunks<T>(
    items: &[T],
    most: usize,
    bytes: usize,
    size: impl Fn(&T) -> usize,
) -> impl Iterator<Item = &[T]> {
    let mut rest = items;
    core::iter::from_fn(move || {
        let mut sum = 0_usize;
        let fits = |item: &&T| {
            sum = sum.saturating_add(size(item));
            sum <= bytes
        };
        let fitting = rest.iter().take(most).take_while(fits).count().max(1);
        let (part, after) = rest.split_at_checked(fitting)?;
        rest = after;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_at_its_items_or_at_its_bytes() {
        let parts = |items: &[usize], most, bytes| -> Vec<Vec<usize>> {
            chunks(items, most, bytes, |size| *size).map(<[_]>::to_vec).collect()
        };
        assert!(parts(&[], 2, 10).is_empty());
        assert_eq!(parts(&[1, 1, 1], 2, 10), [vec![1, 1], vec![1]]);
        assert_eq!(parts(&[6, 4, 1, 9, 1], 9, 10), [vec![6, 4], vec![1, 9], vec![1]]);
        assert_eq!(
            parts(&[1, 50, 1], 9, 10),
            [vec![1], vec![50], vec![1]],
            "alone, if it has to be"
        );
        assert_eq!(parts(&[usize::MAX, usize::MAX], 9, 10).len(), 2);
        assert_eq!(parts(&[0; 5], 0, 0).len(), 5);
    }
}
