/**
 * Names of the browser's types that the declarations of playwright-core mention. These tests hold
 * no element in their hands, so none of them needs more than its name.
 */
interface Node {
  readonly __browser?: 'Node';
}
interface HTMLElement extends Node {
  readonly __element?: 'HTML';
}
interface SVGElement extends Node {
  readonly __element?: 'SVG';
}
type HTMLElementTagNameMap = Record<string, HTMLElement>;
