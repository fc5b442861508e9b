// Puts the library where tests that run in the page can reach it.
import * as widefield from 'widefield';

globalThis.widefield = widefield;
