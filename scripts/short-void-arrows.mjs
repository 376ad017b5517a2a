import ts from 'typescript';

/** The width of a line, as Prettier has it here. */
const WIDTH = 100;

const isVoid = (type) =>
  type.isUnion()
    ? type.types.every(isVoid)
    : (type.flags & (ts.TypeFlags.Void | ts.TypeFlags.Undefined)) !== 0;

/** The one call without a result that is all of a function's body, as `{ call(); }` has it; else undefined. */
function onlyCall(body, services) {
  const [statement, ...others] = body.body;
  if (statement?.type !== 'ExpressionStatement' || others.length > 0) return undefined;
  const { expression } = statement;
  const call = expression.type === 'ChainExpression' ? expression.expression : expression;
  return call.type === 'CallExpression' && isVoid(services.getTypeAtLocation(expression))
    ? expression
    : undefined;
}

/** ESLint's rule that an arrow of one call without a result stands on one line where it fits: `() => call()`. */
export const shortVoidArrows = {
  meta: {
    type: 'layout',
    fixable: 'code',
    schema: [],
    messages: { short: 'It fits on one line: write `(…) => call(…)`.' },
  },
  create: (context) => ({
    'ArrowFunctionExpression[body.type="BlockStatement"]'(node) {
      const { body } = node;
      const { sourceCode } = context;
      const { lines } = sourceCode;
      const call = onlyCall(body, sourceCode.parserServices);
      if (call === undefined || sourceCode.getCommentsInside(body).length > 0) return;
      const text = sourceCode.getText(call);
      const before = lines[body.loc.start.line - 1].slice(0, body.loc.start.column);
      const after = lines[body.loc.end.line - 1].slice(body.loc.end.column);
      if (text.includes('\n') || (before + text + after).length > WIDTH) return;
      context.report({ node, messageId: 'short', fix: (fixer) => fixer.replaceText(body, text) });
    },
  }),
};
