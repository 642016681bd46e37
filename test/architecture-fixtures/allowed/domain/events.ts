import { z } from 'zod';
export const Event = z.object({});
