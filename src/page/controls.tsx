/** Cards, buttons and fields. */
import type { ComponentChildren, VNode } from 'preact';
import { Fragment } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';

import { messageOf } from './api.js';
import { askToken, attempt, toast } from './dialogs.js';
import { filter, setFilters } from './address.js';
import { whyNoCommands } from './node.js';
import type { Polled } from './poll.js';

interface CardOf {
  readonly title: ComponentChildren;
  /** The title of the view, or of a part of it. */
  readonly isView?: boolean;
  readonly status?: string;
  /** Shown in place of the status. */
  readonly error?: unknown;
  readonly tools?: ComponentChildren;
  readonly children?: ComponentChildren;
}

export function Card({ title, isView, status = '', error = null, tools, children }: CardOf): VNode {
  return (
    <section class="card">
      <header class="bar">
        {isView === true ? <h1>{title}</h1> : <h2>{title}</h2>}
        <span class="quiet" role={error === null ? undefined : 'status'}>
          {error === null ? status : messageOf(error)}
        </span>
        {tools}
      </header>
      {children}
    </section>
  );
}

interface ButtonOf {
  readonly label: ComponentChildren;
  /** What it does, if its label is a sign. */
  readonly title?: string;
  readonly style?: string;
  readonly isDisabled?: boolean;
  /** Whether it needs a token that may change the node. */
  readonly isCommand?: boolean;
  readonly isPressed?: boolean;
  /** What a press does; its error is shown. */
  readonly act: () => unknown;
}

export function focusMain(): void {
  document.getElementById('main')?.focus({ preventScroll: true });
}

export function Button(given: ButtonOf): VNode {
  const { label, title, style = 'button', isPressed, act } = given;
  const why = given.isCommand === true ? whyNoCommands() : null;
  const isDisabled = given.isDisabled === true || why !== null;
  const isBusy = useRef(false);
  const button = useRef<HTMLButtonElement>(null);
  // A focused button that goes, or is off, would leave people with a keyboard at the top of the page.
  useLayoutEffect(() => {
    const its = button.current;
    return () => {
      if (document.activeElement === its) focusMain();
    };
  }, [isDisabled]);
  const press = (): void => {
    // A second press while the first one is carried out would send a second command.
    if (isBusy.current) return;
    isBusy.current = true;
    attempt(async () => {
      try {
        await act();
      } finally {
        isBusy.current = false;
      }
    });
  };
  return (
    <button
      ref={button}
      type="button"
      class={style}
      aria-label={title}
      title={why ?? title}
      disabled={isDisabled}
      aria-pressed={isPressed}
      onClick={press}
    >
      {label}
    </button>
  );
}

/** Says that something needs a token, and asks for one. @param what in the plural, capitalized */
export function NeedsToken({ what }: { what: string }): VNode {
  const ask = (): unknown => askToken(`${what} need a token.`);
  return (
    <>
      {what} need a token. <Button label="Give a token" style="button small" act={ask} />
    </>
  );
}

/** Copies a text that people do not type. */
export function Copy({ text, title }: { text: string; title: string }): VNode | null {
  // The clipboard works only on pages loaded over TLS or from loopback.
  if (!globalThis.isSecureContext) return null;
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    toast('Copied', 'good');
  };
  return <Button label="copy" title={title} style="copy" act={copy} />;
}

interface ChoiceOf {
  readonly label: string;
  readonly options: readonly (readonly [value: string, label: string])[];
  readonly value: string;
  readonly chosen: (value: string) => void;
}

/** A select field. A value that is not offered counts as the empty one. */
export function Choice({ label, options, value, chosen }: ChoiceOf): VNode {
  const known = options.some(([each]) => each === value) ? value : '';
  return (
    <select
      aria-label={label}
      value={known}
      onChange={(event) => chosen(event.currentTarget.value)}
    >
      {options.map(([each, shown]) => (
        <option key={each} value={each}>
          {shown}
        </option>
      ))}
    </select>
  );
}

/** A choice that is a filter of the view. */
export function FilterChoice({
  name,
  ...rest
}: Omit<ChoiceOf, 'value' | 'chosen'> & { name: string }): VNode {
  return (
    <Choice {...rest} value={filter(name)} chosen={(value) => setFilters({ [name]: value })} />
  );
}

/** A search field that is a filter of the view, and takes effect while one types. */
export function FilterText({
  name,
  label,
  hint,
}: {
  name: string;
  label: string;
  hint: string;
}): VNode {
  return (
    <input
      type="search"
      placeholder={hint}
      aria-label={label}
      data-search
      value={filter(name)}
      onInput={({ currentTarget }) => setFilters({ [name]: currentTarget.value }, true)}
    />
  );
}

/** Names and values. */
export function Facts(given: { rows: readonly (readonly [string, ComponentChildren])[] }): VNode {
  return (
    <dl class="facts">
      {given.rows.map(([name, value]) => (
        <Fragment key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </Fragment>
      ))}
    </dl>
  );
}

interface FigureOf {
  readonly value: string;
  readonly label: string;
  /** The class that sets the colour of its mark. */
  readonly style?: string;
  /** What the number is of, as a tooltip. */
  readonly about?: string | undefined;
}

/** A number in large type. */
export function Figure({ value, label, style, about }: FigureOf): VNode {
  return (
    <div title={about} class={style === undefined ? 'figure' : `figure marked ${style}`}>
      <strong class="value">{value}</strong>
      <span class="label">{label}</span>
    </div>
  );
}

/** In place of what is not loaded yet, after a moment, or of what could not be loaded. */
export function Loading({ of: { error, again } }: { of: Polled<unknown> }): VNode {
  if (error === null) {
    return (
      <p class="loading quiet" role="status">
        Loading…
      </p>
    );
  }
  return (
    <div class="empty" role="alert">
      <strong>Not loaded</strong>
      <p>{messageOf(error)}</p>
      <p>
        <Button label="Try again" act={again} />
      </p>
    </div>
  );
}

/** The text for a view or a table without content: why there is none. */
export function Empty({ title, children }: { title: string; children: ComponentChildren }): VNode {
  return (
    <div class="empty">
      <strong>{title}</strong>
      <p>{children}</p>
    </div>
  );
}
