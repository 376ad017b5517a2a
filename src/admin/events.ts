/** What operators do over HTTP: requests that may change something. */
export type AdminEvent =
  | {
      readonly name: 'operator.acted';
      /** The user whom a trusted proxy names, or the name of the token. */
      readonly who: string;
      /** The name of the token: `http.token` is the node's own. */
      readonly token: string;
      /** Method and path, as docs/http.md has it: `POST /api/v1/ha/promote`. */
      readonly act: string;
      /** The beginning of the uuid in the path, which is a credential; `null`: it has none. */
      readonly uuid: string | null;
      /** Where it came from; `null`: a local socket. */
      readonly address: string | null;
    }
  | {
      /** A request of an operator was refused: nothing was done. */
      readonly name: 'operator.refused';
      readonly who: string;
      readonly token: string;
      readonly act: string;
      readonly uuid: string | null;
      readonly address: string | null;
      /** The HTTP status of the answer. */
      readonly status: number;
    };
