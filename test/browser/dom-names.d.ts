/**
 * Names of browser types that the declarations of playwright-core mention. These tests handle no
 * elements themselves, so the names are enough.
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
