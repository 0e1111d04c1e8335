import { Module } from '@nestjs/common';
import { FeedFollowers } from './feed-followers.js';

/** The register of followers alone, so that the admin API can read it. */
@Module({ providers: [FeedFollowers], exports: [FeedFollowers] })
export class FeedFollowersModule {}
