//! The encoding of header maps in the ABI: their number, the sizes of all names and values, then the names and values,
//! each followed by a NUL. Numbers have 32 bits, little-endian.

use portcullis_core::headers::Received;

/// Decodes a header map. `None` if it is malformed, which a correct host never causes.
pub(crate) fn decode(block: Vec<u8>) -> Option<Received> {
    if block.is_empty() {
        return Some(Received::default());
    }
    let (count, rest) = block.split_first_chunk::<4>()?;
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    let sizes = rest.get(..count.checked_mul(8)?)?.to_vec();

    let mut position = u32::try_from(4 + sizes.len()).ok()?;
    let length = block.len();
    let mut take = |size: [u8; 4]| {
        let end = position.checked_add(u32::from_le_bytes(size))?;
        if end as usize >= length {
            return None;
        }
        let range = position..end;
        position = end + 1;
        Some(range)
    };
    let headers = sizes.chunks_exact(8).map(|sizes| {
        let (name, value) = sizes.split_first_chunk::<4>()?;
        Some((take(*name)?, take(*value.first_chunk()?)?))
    });
    Received::in_block(block, headers)
}

/// Encodes a header map.
pub(crate) fn encode<'a>(
    entries: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone,
) -> Vec<u8> {
    let content: usize = entries
        .clone()
        .map(|(name, value)| name.len() + value.len() + 10)
        .sum();
    let mut block = Vec::with_capacity(4 + content);
    let size = |block: &mut Vec<u8>, size: usize| {
        // No header map has 4 GiB; a truncated size would only make the host refuse the block.
        block.extend_from_slice(&(size as u32).to_le_bytes());
    };
    size(&mut block, entries.len());
    for (name, value) in entries.clone() {
        size(&mut block, name.len());
        size(&mut block, value.len());
    }
    for (name, value) in entries {
        block.extend_from_slice(name);
        block.push(0);
        block.extend_from_slice(value);
        block.push(0);
    }
    block
}

#[cfg(test)]
mod tests {
    use portcullis_core::headers::HeaderMap;
    use proptest::prelude::*;

    use super::*;

    fn block_of(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        encode(entries.iter().map(|(name, value)| (&name[..], &value[..])))
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(
            entries in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..20),
        ) {
            let decoded = HeaderMap::of(decode(block_of(&entries)).unwrap());
            let decoded: Vec<_> = decoded.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
            prop_assert_eq!(decoded, entries);
        }

        #[test]
        fn a_damaged_block_is_refused_or_read_but_never_a_panic(
            entries in proptest::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..5),
            cut in any::<prop::sample::Index>(),
            flip in any::<prop::sample::Index>(),
            with in any::<u8>(),
        ) {
            let mut block = block_of(&entries);
            let at = flip.index(block.len());
            block[at] ^= with;
            block.truncate(cut.index(block.len()));
            let _ = decode(block);
        }
    }

    #[test]
    fn a_count_beyond_the_block_is_refused() {
        assert!(decode(vec![0xff, 0xff, 0xff, 0xff]).is_none());
        assert!(decode(vec![1, 0, 0]).is_none());
    }
}
