import type { DatabaseTool, StoreConfig } from '../../store/database-tools.js';
import { backupDatabase } from './backup.js';
import { verifyDatabase } from './examine.js';
import { examinedOf } from './login.js';

/** For `backup` and `verify`. @throws ERR_CONFIG_INVALID, ERR_CONFIG_FILE */
export async function databaseTool(config: StoreConfig): Promise<DatabaseTool> {
  const examined = await examinedOf(config);
  return {
    name: examined.name,
    verify: (onProgress) => verifyDatabase(examined, onProgress),
    backup: async (file, onProgress) => {
      await backupDatabase(examined, file, onProgress);
    },
  };
}
