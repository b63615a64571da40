//! Tasks in layers: each behind its longest chain of dependencies, and in an order with few crossings. Pure.

/// The most places that long edges pass through; beyond them, edges are drawn straight.
const PASSAGES_MAX: usize = 20_000;
/// How often the layers are put in order, forwards and backwards in turn.
const SWEEPS: usize = 12;

/// Where something is: its layer, and its place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The layer, from 0.
    pub layer: usize,
    /// The place, from 0.
    pub place: usize,
}

/// A graph with a place for each node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers {
    /// The place of each node.
    pub nodes: Vec<Place>,
    /// The places of each edge, with those in the layers between its ends.
    pub edges: Vec<Vec<Place>>,
    /// How many places each layer has.
    pub sizes: Vec<usize>,
}

/// Places `count` nodes with edges from a dependency to what depends on it. Edges of a cycle are as good as any.
pub fn place(count: usize, edges: &[(usize, usize)]) -> Layers {
    let mut layer = longest_paths(count, edges);
    let depth = layer.iter().max().map_or(0, |last| last + 1);
    // Long edges pass through a place in each layer between.
    let between = |&(from, to): &(usize, usize), layer: &[usize]| {
        layer[to].saturating_sub(layer[from]).saturating_sub(1)
    };
    let passages: usize = edges.iter().map(|edge| between(edge, &layer)).sum();
    let mut chains: Vec<Vec<usize>> = Vec::new();
    for edge in edges {
        let (from, to) = *edge;
        let mut chain = vec![from];
        if passages <= PASSAGES_MAX {
            for step in 0..between(edge, &layer) {
                chain.push(layer.len());
                layer.push(layer[from] + 1 + step);
            }
        }
        chain.push(to);
        chains.push(chain);
    }
    let mut layers: Vec<Vec<usize>> = vec![Vec::new(); depth];
    for (node, layer) in layer.iter().enumerate() {
        layers[*layer].push(node);
    }
    order(&mut layers, &layer, &chains);
    let mut places = vec![Place { layer: 0, place: 0 }; layer.len()];
    for (layer, nodes) in layers.iter().enumerate() {
        for (place, node) in nodes.iter().enumerate() {
            places[*node] = Place { layer, place };
        }
    }
    Layers {
        edges: chains
            .iter()
            .map(|chain| chain.iter().map(|node| places[*node]).collect())
            .collect(),
        sizes: layers.iter().map(Vec::len).collect(),
        nodes: places[..count].to_vec(),
    }
}

/// The length of the longest path to each node; nodes of a cycle come last.
fn longest_paths(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut open = vec![0_usize; count];
    for (from, to) in edges {
        after[*from].push(*to);
        open[*to] += 1;
    }
    let mut layer = vec![0; count];
    let mut ready: Vec<usize> = (0..count).filter(|node| open[*node] == 0).collect();
    let mut done = 0;
    while let Some(node) = ready.get(done).copied() {
        done += 1;
        for to in &after[node] {
            layer[*to] = layer[*to].max(layer[node] + 1);
            open[*to] -= 1;
            if open[*to] == 0 {
                ready.push(*to);
            }
        }
    }
    let last = layer.iter().max().map_or(0, |last| last + 1);
    for (node, open) in open.iter().enumerate() {
        if *open > 0 {
            layer[node] = last;
        }
    }
    layer
}

/// Sorts each layer by the mean place of the neighbours in the layer before, and then in the one behind.
fn order(layers: &mut [Vec<usize>], layer: &[usize], chains: &[Vec<usize>]) {
    let (mut before, mut behind) = (vec![Vec::new(); layer.len()], vec![Vec::new(); layer.len()]);
    for pair in chains.iter().flat_map(|chain| chain.windows(2)) {
        if layer[pair[0]] < layer[pair[1]] {
            behind[pair[0]].push(pair[1]);
            before[pair[1]].push(pair[0]);
        }
    }
    let mut place = vec![0.0_f64; layer.len()];
    let number = |nodes: &[usize], place: &mut Vec<f64>| {
        // In the middle, as they are drawn.
        let middle = nodes.len() as f64 / 2.0;
        for (at, node) in nodes.iter().enumerate() {
            place[*node] = at as f64 - middle;
        }
    };
    layers.iter().for_each(|nodes| number(nodes, &mut place));
    for sweep in 0..SWEEPS {
        let (neighbours, backwards) = if sweep % 2 == 0 {
            (&before, false)
        } else {
            (&behind, true)
        };
        for step in 0..layers.len() {
            let at = if backwards {
                layers.len() - 1 - step
            } else {
                step
            };
            let mean = |node: usize, place: &[f64]| match neighbours[node].as_slice() {
                [] => place[node],
                near => near.iter().map(|node| place[*node]).sum::<f64>() / near.len() as f64,
            };
            let nodes = &mut layers[at];
            let means: Vec<(f64, usize)> = nodes
                .iter()
                .map(|node| (mean(*node, &place), *node))
                .collect();
            let mut sorted = means;
            sorted.sort_by(|one, two| one.0.total_cmp(&two.0));
            *nodes = sorted.into_iter().map(|(_, node)| node).collect();
            number(nodes, &mut place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_behind_everything_that_it_depends_on() {
        let edges = [(0, 1), (1, 2), (0, 2), (3, 2), (2, 4)];
        let layers = place(5, &edges);
        let layer: Vec<usize> = layers.nodes.iter().map(|node| node.layer).collect();
        assert_eq!(layer, [0, 1, 2, 0, 3]);
        // 0 -> 2 and 3 -> 2 pass through layer 1.
        assert_eq!(layers.sizes, [2, 3, 1, 1]);
        assert_eq!(layers.edges[2].len(), 3);
        for ((from, to), edge) in edges.iter().zip(&layers.edges) {
            assert_eq!(edge.first(), Some(&layers.nodes[*from]));
            assert_eq!(edge.last(), Some(&layers.nodes[*to]));
            assert!(edge.windows(2).all(|pair| pair[0].layer < pair[1].layer));
        }
    }

    #[test]
    fn edges_that_need_not_cross_do_not() {
        // Two chains whose second nodes are listed the other way round.
        let layers = place(4, &[(0, 3), (1, 2)]);
        assert_eq!(layers.nodes[0].place, layers.nodes[3].place);
        assert_eq!(layers.nodes[1].place, layers.nodes[2].place);
    }

    #[test]
    fn cycles_and_many_long_edges_are_drawn_too() {
        assert_eq!(place(0, &[]).sizes, [0_usize; 0]);
        let cycle = place(3, &[(0, 1), (1, 2), (2, 1)]);
        assert_eq!(cycle.nodes.len(), 3);
        let count = 2_000;
        let chain = (1..count).map(|node| (node - 1, node));
        let long = (0..count - 20).map(|node| (node, node + 20));
        let edges: Vec<_> = chain.chain(long).collect();
        let layers = place(count, &edges);
        assert_eq!(layers.sizes.len(), count);
        assert!(layers.edges.iter().all(|edge| edge.len() == 2));
    }
}
