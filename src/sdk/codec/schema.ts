/** Validators of services, as their authors give them. */
import type { Codec } from './codec.js';

/** What a validator returns: a value, or what is wrong with it. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** A fault that a validator found in a value. */
export interface SchemaIssue {
  /** What is wrong, for people. */
  readonly message: string;
  /** Where in the value the fault is: the keys from the outside in. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A validator with the interface of https://standardschema.dev: of Zod, Valibot, ArkType and others. */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** What the library offers to programs like this one. */
  readonly '~standard': {
    /** The version of the interface. */
    readonly version: 1;
    /** The name of the library. */
    readonly vendor: string;
    /** Checks a value. It must answer at once: a promise is ERR_MDP_CODEC. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    /**
     * Makes the JSON Schema of what the validator takes, which a worker announces
     * (https://standardschema.dev/json-schema).
     */
    readonly jsonSchema?:
      | {
          readonly input: (options: {
            readonly target: string;
          }) => Readonly<Record<string, unknown>>;
        }
      | undefined;
    /** The types of the values, only for the compiler. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** The validators of one service. What has none is not checked. */
export interface ServiceSchemas {
  /** What the service does, for people: announced by workers. At most 1024 characters. */
  readonly description?: string;
  /** Checks what the client sends: at the client, and at the worker before the handler runs. */
  readonly input?: StandardSchema;
  /** Checks what the handler returns, or yields as a part of that: at the worker, and at the client. */
  readonly output?: StandardSchema;
  /** Checks what the handler tells with `context.progress`: at the worker, and at the client. */
  readonly progress?: StandardSchema;
  /** Validators of the `details` of errors that the handler throws, by code; with them, no other errors are sent. */
  readonly errors?: Readonly<Record<string, StandardSchema>>;
}

/**
 * Options of `defineService`.
 *
 *     defineService<{ sum: { input: number[]; output: number } }>(undefined, { codec: msgpack });
 */
export interface ContractOptions {
  /** How values are sent. Default `json()`. */
  readonly codec?: Codec<never, unknown> | undefined;
  /** The version of the contract, which workers announce: at most 64 characters. Default: none. */
  readonly version?: string | undefined;
  /**
   * Makes the JSON Schema of a validator whose library has no `~standard.jsonSchema`; `false`: workers announce
   * nothing of their services. Default: what the validators offer.
   */
  readonly jsonSchema?: ((schema: StandardSchema) => object | boolean) | false | undefined;
}
