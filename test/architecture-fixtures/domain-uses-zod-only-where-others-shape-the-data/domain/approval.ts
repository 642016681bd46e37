import { z } from 'zod';
export const Approval = z.object({});
