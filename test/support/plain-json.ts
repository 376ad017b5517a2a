/** A value as JSON, with buffers in Base64. */
export function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, each: unknown) => {
      const buffer = each as { readonly type?: unknown; readonly data?: readonly number[] } | null;
      return buffer?.type === 'Buffer' ? Buffer.from(buffer.data ?? []).toString('base64') : each;
    }),
  );
}
