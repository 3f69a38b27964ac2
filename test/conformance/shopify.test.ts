import { describeConformance } from './connector-suite.ts';
import { shopify } from './shopify.ts';

describeConformance(shopify);
