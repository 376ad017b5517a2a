/** What a shared map tells its readers and listeners. */

/** A change of one key. */
export interface MapChange<Out = Buffer> {
  /** The key, as text. */
  readonly key: string;
  /**
   * The value of the key, which nobody may change; `null`: the key is gone.
   * @throws ERR_MDP_CODEC if the codec cannot read it
   */
  readonly value: Out | null;
  /** The bytes of the value, which nobody may change; `null`: the key is gone. */
  readonly bytes: Buffer | null;
}

/** A node of the map. */
export interface MapNode {
  /** The endpoint of the node, as given in `endpoints`. */
  readonly endpoint: string;
}

/** A node that a map followed. */
export interface LostMapNode extends MapNode {
  /** `closed`: the connection; `silent`: for five seconds. */
  readonly reason: 'closed' | 'silent';
}

/**
 * The events of `SharedMap`, and the object that their listeners get.
 *
 *     map.on('lost', ({ endpoint, reason }) => console.warn(`${endpoint}: ${reason}`));
 */
export interface SharedMapEvents {
  /** The map is that of this node, and follows it. Also after each loss. */
  readonly synced: MapNode;
  /** The node is followed no longer. The map stays as it is until the next `synced`. */
  readonly lost: LostMapNode;
}

export const SHARED_MAP_EVENTS: readonly (keyof SharedMapEvents)[] = ['synced', 'lost'];
