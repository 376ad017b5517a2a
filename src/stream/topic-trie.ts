/**
 * Members by topic: finds those whose topic is a prefix of some bytes.
 *
 * A radix trie: an edge has as many bytes as no topic ends or branches in, so there are at most two
 * nodes for each topic, however long it is. Topics are strings of Latin-1, one character a byte.
 */

/** A member and where it is in the trie. */
export class TrieEntry<T> {
  readonly member: T;
  node: TrieNode<T>;
  /** Where it is among the members of its node. */
  index: number;

  constructor(member: T, node: TrieNode<T>, index: number) {
    this.member = member;
    this.node = node;
    this.index = index;
  }
}

class TrieNode<T> {
  /** The bytes on the edge to this node: at least one, except at the root. */
  label: string;
  parent: TrieNode<T> | null;
  /** By the first byte of their labels. */
  children: Map<number, TrieNode<T>> | null = null;
  readonly entries: TrieEntry<T>[] = [];

  constructor(label: string, parent: TrieNode<T> | null) {
    this.label = label;
    this.parent = parent;
  }

  attach(child: TrieNode<T>): void {
    child.parent = this;
    this.children ??= new Map();
    this.children.set(child.label.charCodeAt(0), child);
  }
}

export class TopicTrie<T> {
  readonly #root = new TrieNode<T>('', null);
  #nodes = 1;

  /** How many nodes there are, with the root. */
  get nodes(): number {
    return this.#nodes;
  }

  /** Adds a member under a topic, also if it is there already. */
  add(topic: string, member: T): TrieEntry<T> {
    const node = this.#nodeOf(topic);
    const entry = new TrieEntry(member, node, node.entries.length);
    node.entries.push(entry);
    return entry;
  }

  /** Takes a member out, once. */
  remove(entry: TrieEntry<T>): void {
    const { node, index } = entry;
    const last = node.entries.pop();
    if (last !== undefined && last !== entry) {
      node.entries[index] = last;
      last.index = index;
    }
    this.#tidy(node);
  }

  /**
   * Visits the members of all topics that `[start, end)` of `bytes` begins with, shorter topics first.
   * A visit must not change the trie.
   */
  match(
    bytes: Uint8Array,
    start: number,
    end: number,
    visit: (entries: readonly TrieEntry<T>[]) => void,
  ): void {
    let node = this.#root;
    let at = start;
    for (;;) {
      if (node.entries.length > 0) visit(node.entries);
      if (at >= end || node.children === null) return;
      const next = node.children.get(bytes[at] ?? 0);
      if (next === undefined) return;
      const { label } = next;
      const size = label.length;
      if (end - at < size) return;
      for (let index = 1; index < size; index++) {
        if (label.charCodeAt(index) !== bytes[at + index]) return;
      }
      at += size;
      node = next;
    }
  }

  #nodeOf(topic: string): TrieNode<T> {
    let node = this.#root;
    let at = 0;
    while (at < topic.length) {
      const next = node.children?.get(topic.charCodeAt(at));
      if (next === undefined) return this.#grow(node, topic.slice(at));
      const same = commonLength(next.label, topic, at);
      node = same < next.label.length ? this.#split(next, same) : next;
      at += same;
    }
    return node;
  }

  #grow(parent: TrieNode<T>, label: string): TrieNode<T> {
    const node = new TrieNode(label, parent);
    parent.attach(node);
    this.#nodes++;
    return node;
  }

  /** Puts a new node into the edge to `node`, after the first `size` bytes of its label. */
  #split(node: TrieNode<T>, size: number): TrieNode<T> {
    const upper = new TrieNode<T>(node.label.slice(0, size), node.parent);
    node.parent?.attach(upper);
    node.label = node.label.slice(size);
    upper.attach(node);
    this.#nodes++;
    return upper;
  }

  /** Removes nodes that no topic needs, from `node` upwards. */
  #tidy(node: TrieNode<T>): void {
    const { parent, children } = node;
    if (parent === null || node.entries.length > 0) return;
    if (children === null || children.size === 0) {
      parent.children?.delete(node.label.charCodeAt(0));
      this.#nodes--;
      this.#tidy(parent);
    } else if (children.size === 1) {
      // Its child takes its place: entries keep their nodes.
      for (const child of children.values()) {
        child.label = node.label + child.label;
        parent.attach(child);
      }
      this.#nodes--;
    }
  }
}

/** How many bytes of `label` stand at `at` of `topic`; the first one does. */
function commonLength(label: string, topic: string, at: number): number {
  const most = Math.min(label.length, topic.length - at);
  let same = 1;
  while (same < most && label.charCodeAt(same) === topic.charCodeAt(at + same)) same++;
  return same;
}
