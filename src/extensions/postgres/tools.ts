import type { DatabaseTools } from '../../store/database-tools.js';
import { backupDatabase } from './backup.js';
import { verifyDatabase } from './examine.js';
import { examinedOf } from './login.js';
import { migrateStore } from './migration.js';

/** For `backup`, `verify` and `migrate`. */
export const tools: DatabaseTools = {
  open: async (place) => {
    const examined = await examinedOf(place);
    return {
      name: examined.name,
      verify: (onProgress) => verifyDatabase(examined, onProgress),
      backup: async (file, onProgress) => {
        await backupDatabase(examined.login, file, onProgress);
      },
    };
  },
  migrate: migrateStore,
};
