import { applyDecorators } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import { ApiProblems } from '../../platform/api/api-problems.decorator.js';

/** Documents the header and the problems of a route with `@ProvenCredentials()`. */
export const AcceptsKeyProof = () =>
  applyDecorators(
    ApiHeader({
      name: 'DPoP',
      required: false,
      description: 'bearer transport only: a proof of the device key (RFC 9449)',
    }),
    ApiProblems('auth.invalid_dpop_proof', 'auth.dpop_nonce_required'),
  );
