/** What differs between operating systems: facts of the one that this process runs on, which never change. */

/** Windows says 0666 of every file; who may read one is in lists that Node.js does not read. */
export const HAS_MODES = process.platform !== 'win32';

/** The longest path of a Unix socket, in bytes: the system's, without its final zero. Node.js truncates longer ones silently. */
export const IPC_PATH_BYTES_MAX = process.platform === 'darwin' ? 103 : 107;
