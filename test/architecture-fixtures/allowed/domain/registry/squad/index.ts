import { z } from 'zod';
export const Squad = z.object({});
